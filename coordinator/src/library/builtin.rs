//! What comes with this program, as files under `coordinator/library`.

use factory_domain::Slug;

use super::file::{File, Form, Kind};

pub(super) const SOURCE: &str = "built-in";

macro_rules! texts {
    ($directory:literal: $($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../library/", $directory, "/", $name, ".md")))),*]
    };
}

const ROLES: &[(&str, &str)] = texts!(
    "roles": "coder" "coder_revision" "custom" "debug" "devops" "docs" "orchestrator" "researcher" "reviewer" "test"
);

const TEMPLATES: &[(&str, &str)] = texts!(
    "templates": "code" "coder_revision" "config" "docs" "integration" "protocol" "review" "step" "task" "test" "tools" "ui"
);

const WORKFLOWS: &[(&str, &str)] =
    &[("code_review", include_str!("../../library/workflows/code_review.toml"))];

pub(super) fn files() -> impl Iterator<Item = File> {
    let of = |kind, texts: &'static [(&str, &str)]| texts.iter().map(move |text| (kind, text));
    let all = of(Kind::Role, ROLES).chain(of(Kind::Template, TEMPLATES)).chain(of(Kind::Workflow, WORKFLOWS));
    all.map(|(kind, (name, text))| File {
        kind,
        name: Slug::parse(name).expect("built-in names are slugs"),
        form: if kind == Kind::Workflow { Form::Toml } else { Form::Text },
        source: SOURCE.to_owned(),
        text: Ok((*text).to_owned()),
    })
}
