//! Roles and templates, for people.

use std::fmt::Write as _;

use comfy_table::{Cell, Table};
use factory_proto::v1;

use crate::render::console::BOLD;
use crate::render::page::field;
use crate::render::{Console, plain, table, units};

pub fn roles(console: Console, roles: &[v1::Role]) -> Table {
    let mut table = table::new(console, &["ROLE", "WHAT IT DOES", "TOOLS", "TIMEOUT", "FROM"]);
    for role in roles {
        let tools =
            if role.allowed_tools.is_empty() { "all".to_owned() } else { role.allowed_tools.join(" ") };
        table.add_row([
            Cell::new(plain::line(&role.name)),
            Cell::new(plain::line(&role.description)),
            Cell::new(plain::shorten(&plain::line(&tools), 40)),
            Cell::new(timeout(role.timeout_ms)),
            Cell::new(plain::line(&role.source)),
        ]);
    }
    table
}

fn timeout(ms: u64) -> String {
    if ms == 0 { String::new() } else { units::span(i64::try_from(ms).unwrap_or(i64::MAX)) }
}

/// One role with its prompt.
pub fn role(role: &v1::Role) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ =
        writeln!(page, "{BOLD}Role {}{BOLD:#}  {}", plain::line(&role.name), plain::line(&role.description));
    field(&mut page, "from", &role.source);
    field(&mut page, "tools", &role.allowed_tools.join(", "));
    field(&mut page, "never", &role.disallowed_tools.join(", "));
    field(&mut page, "permissions", &role.permission_mode);
    field(&mut page, "timeout", &timeout(role.timeout_ms));
    field(&mut page, "idle timeout", &timeout(role.idle_timeout_ms));
    field(&mut page, "model", &role.model);
    field(&mut page, "memories", &role.memory_kinds.join(", "));
    let _ = writeln!(page, "\n{}", plain::text(&role.prompt));
    page
}

pub fn templates(console: Console, templates: &[v1::Template]) -> Table {
    let mut table = table::new(console, &["TEMPLATE", "FOR", "FROM"]);
    for template in templates {
        table
            .add_row([&template.name, &template.description, &template.source].map(|text| plain::line(text)));
    }
    table
}

pub fn placeholders(console: Console, placeholders: &[v1::Placeholder]) -> Table {
    let mut table = table::new(console, &["PLACEHOLDER", "WHAT STANDS THERE"]);
    for placeholder in placeholders {
        table.add_row([&placeholder.name, &placeholder.description]);
    }
    table
}

/// As compilers say it, so that editors find the place.
pub fn problem(problem: &v1::Problem) -> String {
    let (source, message) = (plain::line(&problem.source), plain::line(&problem.message));
    match problem.line {
        0 => format!("{source}: {message}"),
        line => format!("{source}:{line}: {message}"),
    }
}
