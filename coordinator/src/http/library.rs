//! Roles and templates.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Path;
use super::problem::{BadRequest, Conflict, NotFound, Problem};
use super::view::{Placeholder, Role, Template};
use crate::app::{App, Error};
use crate::library::PLACEHOLDERS;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(roles))
        .routes(routes!(role))
        .routes(routes!(templates))
        .routes(routes!(template))
}

#[derive(Debug, Serialize, ToSchema)]
struct Roles {
    /// Without their prompts.
    roles: Vec<Role>,
    /// `null`: there are no more.
    next_page_token: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Templates {
    /// Without their texts.
    templates: Vec<Template>,
    placeholders: Vec<Placeholder>,
    /// `null`: there are no more.
    next_page_token: Option<String>,
}

/// All roles, as their files are now.
#[utoipa::path(get, path = "/api/roles", tag = "library", responses((status = OK, body = Roles)))]
async fn roles(State(app): State<Arc<App>>) -> Result<Json<Roles>, Problem> {
    let shelf = app.shelf().await?;
    Ok(Json(Roles { roles: shelf.roles().map(Role::in_list).collect(), next_page_token: None }))
}

/// One role, with its prompt. 409: its file cannot be used.
#[utoipa::path(
    get,
    path = "/api/roles/{role}",
    tag = "library",
    params(("role" = String, Path, description = "Its name, or another that it goes by")),
    responses((status = OK, body = Role), BadRequest, NotFound, Conflict)
)]
async fn role(State(app): State<Arc<App>>, Path(role): Path<String>) -> Result<Json<Role>, Problem> {
    let shelf = app.shelf().await?;
    Ok(Json(shelf.role(&role).map_err(Error::from)?.into()))
}

/// All templates, as their files are now, and what they can ask for.
#[utoipa::path(get, path = "/api/templates", tag = "library", responses((status = OK, body = Templates)))]
async fn templates(State(app): State<Arc<App>>) -> Result<Json<Templates>, Problem> {
    let shelf = app.shelf().await?;
    Ok(Json(Templates {
        templates: shelf.templates().map(Template::in_list).collect(),
        placeholders: PLACEHOLDERS.iter().map(Placeholder::from).collect(),
        next_page_token: None,
    }))
}

/// One template, with its text. 409: its file cannot be used.
#[utoipa::path(
    get,
    path = "/api/templates/{template}",
    tag = "library",
    params(("template" = String, Path, description = "Its name")),
    responses((status = OK, body = Template), BadRequest, NotFound, Conflict)
)]
async fn template(
    State(app): State<Arc<App>>,
    Path(template): Path<String>,
) -> Result<Json<Template>, Problem> {
    let shelf = app.shelf().await?;
    Ok(Json(shelf.template(&template).map_err(Error::from)?.into()))
}
