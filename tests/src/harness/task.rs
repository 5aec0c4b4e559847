//! Tasks as tests submit and read them.

use factory_proto::client::Client;
use factory_proto::v1::{
    GetRequest, GetResponse, ListRequest, ListResponse, LogRecord, LogStream, NewTask, ReadLogRequest,
    Report, SubmitRequest, Submitted, TaskSpec,
};
use tonic::Status;

use super::soon;

/// A task for the agent `command`: a program and its arguments.
pub fn command<A: Into<String>>(argv: impl IntoIterator<Item = A>) -> TaskSpec {
    TaskSpec {
        agent: "command".to_owned(),
        argv: argv.into_iter().map(Into::into).collect(),
        ..TaskSpec::default()
    }
}

/// A task for the agent `command` whose program is a shell script.
pub fn script(text: &str) -> TaskSpec {
    command(["/bin/sh", "-euc", text])
}

pub async fn try_submit(client: &Client, specs: Vec<TaskSpec>) -> Result<Vec<Submitted>, Status> {
    let tasks = specs.into_iter().map(|spec| NewTask { spec: Some(spec), ..NewTask::default() }).collect();
    let request = client.request(SubmitRequest { tasks });
    Ok(client.tasks().submit(request).await?.into_inner().tasks)
}

/// # Panics
/// When they are refused.
pub async fn submit(client: &Client, specs: Vec<TaskSpec>) -> Vec<Submitted> {
    try_submit(client, specs).await.expect("accepted")
}

pub async fn submit_one(client: &Client, spec: TaskSpec) -> Submitted {
    submit(client, vec![spec]).await.remove(0)
}

/// # Panics
/// When there is no such task.
pub async fn get(client: &Client, task: &str) -> GetResponse {
    let request = client.request(GetRequest { task: task.to_owned() });
    client.tasks().get(request).await.expect("the task is there").into_inner()
}

/// The report of an ended task.
///
/// # Panics
/// When there is none.
pub async fn report(client: &Client, task: &str) -> Report {
    get(client, task).await.task.and_then(|task| task.report).expect("a report")
}

/// Up to a thousand tasks, newest first.
///
/// # Panics
/// When the coordinator refuses.
pub async fn list(client: &Client) -> ListResponse {
    let request = client.request(ListRequest { page_size: 1000, ..ListRequest::default() });
    client.tasks().list(request).await.expect("a list").into_inner()
}

/// The whole log of an attempt.
///
/// # Panics
/// When it cannot be read.
pub async fn log(client: &Client, task: &str, attempt: u32) -> Vec<LogRecord> {
    let mut records = Vec::new();
    loop {
        let request = client.request(ReadLogRequest {
            task: task.to_owned(),
            attempt_number: Some(attempt),
            offset: records.len() as u64,
            ..ReadLogRequest::default()
        });
        let page = soon("a page of the log", client.logs().read(request)).await.expect("a page").into_inner();
        records.extend(page.records);
        if page.complete || page.at_end {
            return records;
        }
    }
}

/// The lines an agent printed on its standard output.
pub fn stdout_lines(records: &[LogRecord]) -> Vec<String> {
    records
        .iter()
        .filter(|record| record.stream() == LogStream::Stdout)
        .map(|record| String::from_utf8_lossy(&record.data).into_owned())
        .collect()
}
