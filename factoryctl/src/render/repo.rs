//! Repositories, for people.

use std::fmt::Write as _;

use anstyle::AnsiColor;
use comfy_table::{Cell, Color, Table};
use factory_proto::v1;

use crate::render::console::{BOLD, style};
use crate::render::page::field;
use crate::render::{Console, plain, table, units};

/// Whether every clone of it was fetched, and no fetch failed last.
pub fn is_synced(repo: &v1::Repo) -> bool {
    !repo.copies.is_empty() && repo.copies.iter().all(|copy| copy.fetched_at_ms > 0 && copy.error.is_empty())
}

/// In a few words, and the colour of that.
fn standing(repo: &v1::Repo, now_ms: i64) -> (String, Color) {
    let newest = repo.copies.iter().map(|copy| copy.fetched_at_ms).max().unwrap_or_default();
    if repo.copies.is_empty() {
        ("not cloned".to_owned(), Color::Grey)
    } else if is_synced(repo) {
        (format!("synced {} ago", units::age(newest, now_ms)), Color::Green)
    } else if repo.copies.iter().any(|copy| !copy.error.is_empty()) {
        ("fetch failed".to_owned(), Color::Red)
    } else {
        ("not fetched".to_owned(), Color::Yellow)
    }
}

pub fn table(console: Console, repos: &[v1::Repo], now_ms: i64) -> Table {
    let mut table =
        table::new(console, &["REPO", "BRANCH", "STATE", "HOSTS", "WORKTREES", "TASKS", "SIZE", "SOURCE"]);
    for repo in repos {
        let (standing, color) = standing(repo, now_ms);
        let hosts: Vec<_> = repo.copies.iter().map(|copy| plain::line(&copy.worker_name)).collect();
        let bytes: u64 = repo.copies.iter().map(|copy| copy.bytes).fold(0, u64::saturating_add);
        table.add_row([
            Cell::new(plain::line(&repo.name)),
            Cell::new(plain::line(&repo.default_branch)),
            Cell::new(standing).fg(color),
            Cell::new(hosts.join(" ")),
            Cell::new(some(u64::from(repo.worktrees))),
            Cell::new(some(repo.live_tasks)),
            Cell::new(if repo.copies.is_empty() { String::new() } else { units::bytes(bytes) }),
            Cell::new(plain::shorten(&plain::line(&repo.source), 60)),
        ]);
    }
    table
}

fn some(count: u64) -> String {
    if count == 0 { String::new() } else { count.to_string() }
}

/// Everything but the table of its clones.
pub fn page(repo: &v1::Repo, now_ms: i64) -> String {
    let mut page = String::new();
    let (standing, color) = standing(repo, now_ms);
    let color = match color {
        Color::Green => style(AnsiColor::Green),
        Color::Red => style(AnsiColor::Red),
        _ => style(AnsiColor::Yellow),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(page, "{BOLD}{}{BOLD:#}  {color}{standing}{color:#}", plain::line(&repo.name));
    field(&mut page, "source", &repo.source);
    field(&mut page, "branch", &repo.default_branch);
    field(&mut page, "role", &repo.default_role);
    let known = match (repo.configured, repo.added_at_ms) {
        (true, _) => "by the coordinator's configuration".to_owned(),
        (false, 0) => "by a worker's clone".to_owned(),
        (false, at) => format!("added {}", units::moment(at)),
    };
    field(&mut page, "known", &known);
    field(&mut page, "worktrees", &some(u64::from(repo.worktrees)));
    field(&mut page, "live tasks", &some(repo.live_tasks));
    page
}

pub fn copies(console: Console, copies: &[v1::RepoCopy], now_ms: i64) -> Table {
    let mut table = table::new(console, &["HOST", "FETCHED", "HEAD", "SIZE", "NOTE"]);
    for copy in copies {
        let away = if copy.connected { "" } else { "away, as it said last" };
        let note = if copy.error.is_empty() { away.to_owned() } else { plain::line(&copy.error) };
        let fetched = match copy.fetched_at_ms {
            0 => "never".to_owned(),
            at => format!("{} ago", units::age(at, now_ms)),
        };
        table.add_row([
            Cell::new(plain::line(&copy.worker_name)),
            Cell::new(fetched),
            Cell::new(plain::line(copy.head.get(..12).unwrap_or(&copy.head))),
            Cell::new(units::bytes(copy.bytes)),
            Cell::new(plain::shorten(&note, 80)),
        ]);
    }
    table
}
