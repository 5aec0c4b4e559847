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
    "templates": "code" "config" "docs" "integration" "protocol" "task" "test" "tools" "ui"
);

pub(super) fn files() -> impl Iterator<Item = File> {
    let of = |kind, texts: &'static [(&str, &str)]| texts.iter().map(move |text| (kind, text));
    of(Kind::Role, ROLES).chain(of(Kind::Template, TEMPLATES)).map(|(kind, (name, text))| File {
        kind,
        name: Slug::parse(name).expect("built-in names are slugs"),
        form: Form::Text,
        source: SOURCE.to_owned(),
        text: Ok((*text).to_owned()),
    })
}
