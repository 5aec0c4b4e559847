//! `LibraryService`.

use std::sync::Arc;
use std::time::Duration;

use factory_domain::PermissionMode;
use factory_proto::v1;
use factory_proto::v1::library_service_server::LibraryService;
use tonic::{Request, Response, Status};

use crate::app::{App, Error};
use crate::library::{PLACEHOLDERS, Problem, Role, Template};

pub struct Library(pub Arc<App>);

#[tonic::async_trait]
impl LibraryService for Library {
    async fn list_roles(
        &self,
        _request: Request<v1::ListRolesRequest>,
    ) -> Result<Response<v1::ListRolesResponse>, Status> {
        let shelf = self.0.shelf().await?;
        let roles = shelf.roles().map(|role| v1::Role { prompt: String::new(), ..role.into() }).collect();
        Ok(Response::new(v1::ListRolesResponse { roles }))
    }

    async fn get_role(
        &self,
        request: Request<v1::GetRoleRequest>,
    ) -> Result<Response<v1::GetRoleResponse>, Status> {
        let shelf = self.0.shelf().await?;
        let role = shelf.role(&request.into_inner().name).map_err(Error::from)?;
        Ok(Response::new(v1::GetRoleResponse { role: Some(role.into()) }))
    }

    async fn list_templates(
        &self,
        _request: Request<v1::ListTemplatesRequest>,
    ) -> Result<Response<v1::ListTemplatesResponse>, Status> {
        let shelf = self.0.shelf().await?;
        let templates =
            shelf.templates().map(|found| v1::Template { text: String::new(), ..found.into() }).collect();
        let placeholders = PLACEHOLDERS.iter().map(|(name, description)| v1::Placeholder {
            name: (*name).to_owned(),
            description: (*description).to_owned(),
        });
        let placeholders = placeholders.collect();
        Ok(Response::new(v1::ListTemplatesResponse { templates, placeholders }))
    }

    async fn get_template(
        &self,
        request: Request<v1::GetTemplateRequest>,
    ) -> Result<Response<v1::GetTemplateResponse>, Status> {
        let shelf = self.0.shelf().await?;
        let template = shelf.template(&request.into_inner().name).map_err(Error::from)?;
        Ok(Response::new(v1::GetTemplateResponse { template: Some(template.into()) }))
    }

    async fn check(
        &self,
        _request: Request<v1::CheckRequest>,
    ) -> Result<Response<v1::CheckResponse>, Status> {
        let shelf = self.0.shelf().await?;
        Ok(Response::new(v1::CheckResponse {
            problems: shelf.problems().map(Into::into).collect(),
            roles: count(shelf.roles()),
            templates: count(shelf.templates()),
            workflows: count(shelf.workflows()),
        }))
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

impl From<&Role> for v1::Role {
    fn from(role: &Role) -> Self {
        let millis = |span: Option<Duration>| {
            span.map_or(0, |span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
        };
        let mode = match role.permission_mode {
            None => "",
            Some(PermissionMode::Bypass) => "bypass",
            Some(PermissionMode::AcceptEdits) => "accept_edits",
            Some(PermissionMode::Plan) => "plan",
        };
        Self {
            name: role.name.to_string(),
            description: role.description.clone(),
            prompt: role.prompt.clone(),
            allowed_tools: role.allowed_tools.clone(),
            disallowed_tools: role.disallowed_tools.clone(),
            timeout_ms: millis(role.timeout),
            idle_timeout_ms: millis(role.idle_timeout),
            model: role.model.clone().unwrap_or_default(),
            permission_mode: mode.to_owned(),
            memory_kinds: role.memory_kinds.iter().map(ToString::to_string).collect(),
            source: role.source.clone(),
        }
    }
}

impl From<&Template> for v1::Template {
    fn from(template: &Template) -> Self {
        Self {
            name: template.name.to_string(),
            description: template.description.clone(),
            text: template.text.clone(),
            source: template.source.clone(),
        }
    }
}

impl From<&Problem> for v1::Problem {
    fn from(problem: &Problem) -> Self {
        Self { source: problem.source.clone(), line: problem.line, message: problem.message.clone() }
    }
}
