//! `TaskService`.

use std::sync::Arc;

use factory_domain::Labels;
use factory_proto::convert::spec_from_wire;
use factory_proto::v1;
use factory_proto::v1::task_service_server::TaskService;
use futures_util::stream::{self, BoxStream};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::{artifacts, stream_to_client, traceparent, view};
use crate::app::{App, Error, FieldViolation, ListRequest, Wanted};

pub struct Tasks(pub Arc<App>);

#[tonic::async_trait]
impl TaskService for Tasks {
    type WatchStream = BoxStream<'static, Result<v1::WatchResponse, Status>>;
    type ReadArtifactStream = BoxStream<'static, Result<v1::ReadArtifactResponse, Status>>;

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        let trace = trace_of(request.metadata());
        let wanted = read_wanted(request.into_inner().tasks)?;
        let submitted = self.0.submit(wanted, &trace).await?;
        let tasks = submitted.into_iter().map(view::submitted).collect();
        Ok(Response::new(v1::SubmitResponse { tasks }))
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Result<Response<v1::GetResponse>, Status> {
        let detail = self.0.get(&request.into_inner().task).await?;
        Ok(Response::new(view::detail(detail)))
    }

    async fn list(&self, request: Request<v1::ListRequest>) -> Result<Response<v1::ListResponse>, Status> {
        let page = self.0.list(read_list(request.into_inner())?).await?;
        Ok(Response::new(v1::ListResponse {
            tasks: page.tasks.into_iter().map(|(task, waiting_for)| view::task(task, waiting_for)).collect(),
            next_page_token: page.next_page_token,
            cursor: page.cursor,
        }))
    }

    async fn cancel(
        &self,
        request: Request<v1::CancelRequest>,
    ) -> Result<Response<v1::CancelResponse>, Status> {
        let v1::CancelRequest { task, with_children } = request.into_inner();
        let cancelled = self.0.cancel(&task, with_children).await?;
        Ok(Response::new(v1::CancelResponse {
            task: Some(view::task(cancelled.task, cancelled.waiting_for)),
            children_cancelled: cancelled.children_cancelled,
            children_live: cancelled.children_live,
        }))
    }

    async fn retry(&self, request: Request<v1::RetryRequest>) -> Result<Response<v1::RetryResponse>, Status> {
        let trace = trace_of(request.metadata());
        let task = self.0.retry(&request.into_inner().task, &trace).await?;
        Ok(Response::new(v1::RetryResponse { task: Some(view::submitted(task)) }))
    }

    async fn release(
        &self,
        request: Request<v1::ReleaseRequest>,
    ) -> Result<Response<v1::ReleaseResponse>, Status> {
        let (task, waiting_for) = self.0.release(&request.into_inner().task).await?;
        Ok(Response::new(v1::ReleaseResponse { task: Some(view::task(task, waiting_for)) }))
    }

    async fn stats(&self, request: Request<v1::StatsRequest>) -> Result<Response<v1::StatsResponse>, Status> {
        let repo = Some(request.into_inner().repo).filter(|repo| !repo.is_empty());
        Ok(Response::new(view::stats(self.0.stats(repo).await?)))
    }

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let v1::WatchRequest { tasks, after, follow, until_ended } = request.into_inner();
        let watcher = self.0.watch(&tasks, after, follow, until_ended).await?;
        let events = stream::try_unfold(watcher, |mut watcher| async move {
            let event = watcher.next().await?;
            Ok(event.map(|event| (v1::WatchResponse { event: Some(view::event(event)) }, watcher)))
        });
        Ok(Response::new(stream_to_client(&self.0, events)))
    }

    async fn read_artifact(
        &self,
        request: Request<v1::ReadArtifactRequest>,
    ) -> Result<Response<Self::ReadArtifactStream>, Status> {
        let request = request.into_inner();
        let name = artifacts::read_name(request.kind(), request.name)?;
        let content = self.0.read_artifact(&request.task, request.attempt_number, name).await?;
        let pieces = stream::try_unfold(content, |mut content| async move {
            let piece = content.next().await?;
            Ok(piece.map(|data| (v1::ReadArtifactResponse { data }, content)))
        });
        Ok(Response::new(stream_to_client(&self.0, pieces)))
    }
}

pub(super) fn trace_of(metadata: &MetadataMap) -> String {
    traceparent::from_header(metadata.get("traceparent").and_then(|value| value.to_str().ok()))
}

/// Every bad field of every task at once.
pub(super) fn read_wanted(tasks: Vec<v1::NewTask>) -> Result<Vec<Wanted>, Error> {
    let mut wanted = Vec::with_capacity(tasks.len());
    let mut violations = Vec::new();
    for (index, task) in tasks.into_iter().enumerate() {
        let on_failed_dependency = task.on_failed_dependency().into();
        let Some(spec) = task.spec else {
            violations.push(FieldViolation::new(format!("tasks[{index}].spec"), "is missing"));
            continue;
        };
        match spec_from_wire(spec) {
            Ok(spec) => wanted.push(Wanted {
                spec,
                idempotency_key: task.idempotency_key,
                name: task.name,
                after: task.after,
                on_failed_dependency,
                parent: task.parent,
                goes_on_from: task.goes_on_from,
                hold: task.hold,
            }),
            Err(found) => violations.extend(
                found.into_iter().map(|v| FieldViolation::new(format!("tasks[{index}].{}", v.field), v.why)),
            ),
        }
    }
    if violations.is_empty() { Ok(wanted) } else { Err(Error::Invalid(violations)) }
}

fn read_list(request: v1::ListRequest) -> Result<ListRequest, Error> {
    let mut states = Vec::with_capacity(request.states.len());
    for number in request.states {
        match v1::TaskState::try_from(number) {
            Ok(state) if state != v1::TaskState::Unspecified => states.push(state.name()),
            _ => return Err(Error::invalid("states", format!("{number} is not a state"))),
        }
    }
    let mut labels = Labels::default();
    for (key, value) in request.labels {
        labels.insert(key, value).map_err(|error| Error::invalid("labels", error))?;
    }
    Ok(ListRequest {
        states,
        repo: Some(request.repo).filter(|repo| !repo.is_empty()),
        labels,
        role: Some(request.role).filter(|role| !role.is_empty()),
        search: Some(request.search).filter(|search| !search.is_empty()),
        session: None,
        parent: Some(request.parent).filter(|parent| !parent.is_empty()),
        workflow: Some(request.workflow).filter(|workflow| !workflow.is_empty()),
        page_size: request.page_size,
        page_token: request.page_token,
    })
}
