//! Worktrees, for people.

use std::fmt::Write as _;

use comfy_table::{Cell, Color, Table};
use factory_domain::RepoSource;
use factory_proto::v1;

use crate::render::console::BOLD;
use crate::render::page::field;
use crate::render::{Console, plain, table, units};

/// As programs read it.
pub fn kind(tree: &v1::Worktree) -> &'static str {
    match tree.kind() {
        v1::WorktreeKind::Unspecified => "",
        v1::WorktreeKind::Attempt => "attempt",
        v1::WorktreeKind::Kept => "kept",
        v1::WorktreeKind::ByHand => "by_hand",
    }
}

pub fn table(console: Console, worktrees: &[v1::Worktree], now_ms: i64) -> Table {
    let mut table = table::new(console, &["HOST", "REPO", "BRANCH", "TASK", "STATE", "SIZE", "AGE", "PATH"]);
    for tree in worktrees {
        let (state, color) = standing(tree);
        table.add_row([
            Cell::new(host(tree, now_ms)),
            Cell::new(plain::line(&repo(tree))),
            Cell::new(plain::line(&tree.branch)),
            Cell::new(task(tree)),
            Cell::new(state).fg(color),
            Cell::new(units::bytes(tree.bytes)),
            Cell::new(units::age(tree.made_at_ms, now_ms)),
            Cell::new(plain::line(&tree.path)),
        ]);
    }
    table
}

pub fn page(tree: &v1::Worktree, now_ms: i64) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(page, "{BOLD}Worktree of {}{BOLD:#}", plain::line(&tree.branch));
    field(&mut page, "repository", &repo(tree));
    field(&mut page, "host", &host(tree, now_ms));
    field(&mut page, "path", &tree.path);
    let whose = match tree.kind() {
        v1::WorktreeKind::Attempt => "a task's",
        v1::WorktreeKind::Kept => "kept for what is in it",
        v1::WorktreeKind::ByHand => "made by hand",
        v1::WorktreeKind::Unspecified => "",
    };
    field(&mut page, "whose", whose);
    field(&mut page, "task", &task(tree));
    field(&mut page, "state", &standing(tree).0);
    field(&mut page, "head", &tree.head);
    field(&mut page, "size", &units::bytes(tree.bytes));
    field(&mut page, "made", &units::moment(tree.made_at_ms));
    field(&mut page, "looked at", &format!("{} ago", units::age(tree.seen_at_ms, now_ms)));
    page
}

/// What in it would be lost with it.
fn standing(tree: &v1::Worktree) -> (String, Color) {
    let mut parts = Vec::new();
    if tree.uncommitted > 0 {
        parts.push(format!("{} changed", tree.uncommitted));
    }
    if tree.unsaved_commits > 0 {
        parts.push(units::count(u64::from(tree.unsaved_commits), "unsaved commit"));
    }
    if parts.is_empty() { ("clean".to_owned(), Color::Green) } else { (parts.join(", "), Color::Yellow) }
}

fn host(tree: &v1::Worktree, now_ms: i64) -> String {
    let name = plain::line(&tree.worker_name);
    if tree.connected {
        name
    } else {
        format!("{name} (away, as of {} ago)", units::age(tree.seen_at_ms, now_ms))
    }
}

fn task(tree: &v1::Worktree) -> String {
    match (tree.task_number, tree.task_state()) {
        (0, _) if tree.kind() == v1::WorktreeKind::ByHand => "by hand".to_owned(),
        (0, _) => String::new(),
        (number, state) => format!("{number} {}", state.name()),
    }
}

/// As tasks' are listed.
fn repo(tree: &v1::Worktree) -> String {
    RepoSource::parse(&tree.repo).map_or_else(|_| tree.repo.clone(), |source| source.identity())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_lost_is_said() {
        let tree = |uncommitted, unsaved_commits| v1::Worktree {
            uncommitted,
            unsaved_commits,
            ..Default::default()
        };
        assert_eq!(standing(&tree(0, 0)).0, "clean");
        assert_eq!(standing(&tree(2, 0)).0, "2 changed");
        assert_eq!(standing(&tree(2, 1)).0, "2 changed, 1 unsaved commit");
    }

    #[test]
    fn a_worktree_of_a_host_that_is_away_says_how_old_the_news_is() {
        let away = v1::Worktree {
            worker_name: "anvil".to_owned(),
            repo: "https://github.com/octo/app.git".to_owned(),
            seen_at_ms: 1,
            ..Default::default()
        };
        assert_eq!(host(&away, 600_001), "anvil (away, as of 10m ago)");
        assert_eq!(repo(&away), "octo/app");
    }
}
