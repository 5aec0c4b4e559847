//! Tasks as they belong together: a page of them in families, and one task's own as a tree.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use factory_proto::v1;

use crate::family::Family;
use crate::render::console::DIM;
use crate::render::task::state_style;
use crate::render::{page, plain};

const TITLE: usize = 60;

/// `tasks` in their order, but children right under their parents where both are there; each with
/// how deep it stands.
pub fn in_families(tasks: &[v1::Task]) -> Vec<(usize, &v1::Task)> {
    let here: HashSet<&str> = tasks.iter().map(|task| task.id.as_str()).collect();
    let mut children: HashMap<&str, Vec<&v1::Task>> = HashMap::new();
    let mut rest = Vec::new();
    for task in tasks.iter().rev() {
        match here.get(task.parent_id.as_str()) {
            Some(parent) => children.entry(*parent).or_default().push(task),
            None => rest.push((0, task)),
        }
    }
    let mut placed = Vec::with_capacity(tasks.len());
    while let Some((depth, task)) = rest.pop() {
        placed.push((depth, task));
        // The last one pushed comes first: in order of number.
        let mut below = children.remove(task.id.as_str()).unwrap_or_default();
        below.sort_by_key(|child| std::cmp::Reverse(child.number));
        rest.extend(below.into_iter().map(|child| (depth + 1, child)));
    }
    placed
}

/// Before the title of a task that stands so deep.
pub fn indent(depth: usize) -> String {
    if depth == 0 { String::new() } else { format!("{}└ ", "  ".repeat(depth - 1)) }
}

/// What one task's page says of those that belong to it; empty where nobody does.
pub fn section(family: &Family) -> String {
    let mut text = String::new();
    if let Some(parent) = &family.parent {
        page::field(&mut text, "parent", &one(parent));
    }
    for (index, needed) in family.after.iter().enumerate() {
        page::field(&mut text, if index == 0 { "after" } else { "" }, &one(needed));
    }
    for (index, (depth, child)) in in_families(&family.below).into_iter().enumerate() {
        let name = if index == 0 { "children" } else { "" };
        let style = state_style(child.state());
        let (state, title) = (child.state().name(), plain::shorten(&plain::line(&title(child)), TITLE));
        let indent = indent(depth);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {DIM}{name:<12}{DIM:#} {indent}{} {style}{state}{style:#} {title}",
            child.number
        );
    }
    if family.more {
        page::field(&mut text, "", "… and more");
    }
    text
}

fn one(task: &v1::Task) -> String {
    format!("{} {} {}", task.number, task.state().name(), plain::shorten(&title(task), TITLE))
}

fn title(task: &v1::Task) -> String {
    task.spec.as_ref().map(|spec| spec.title.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(number: u64, parent: &str) -> v1::Task {
        v1::Task { id: format!("t{number}"), number, parent_id: parent.into(), ..v1::Task::default() }
    }

    #[test]
    fn children_stand_under_their_parents_where_both_are_on_the_page() {
        // Newest first, as a list comes.
        let tasks = [task(6, "t2"), task(5, "t9"), task(4, "t3"), task(3, "t2"), task(2, ""), task(1, "")];
        let placed: Vec<_> = in_families(&tasks).iter().map(|(depth, task)| (*depth, task.number)).collect();
        assert_eq!(placed, [(0, 5), (0, 2), (1, 3), (2, 4), (1, 6), (0, 1)]);
        assert_eq!([indent(0), indent(1), indent(2)], ["", "└ ", "  └ "]);
    }

    #[test]
    fn a_familys_section_names_parent_dependencies_and_children() {
        assert_eq!(section(&Family::default()), "");
        let family = Family {
            parent: Some(task(1, "")),
            after: vec![task(2, ""), task(3, "")],
            below: vec![task(5, "t4"), task(6, "t5")],
            more: false,
        };
        let text = anstream::adapter::strip_str(&section(&family)).to_string();
        let lines: Vec<_> =
            text.lines().map(str::split_whitespace).map(|words| words.take(3).collect::<Vec<_>>()).collect();
        assert_eq!(lines[0][..2], ["parent", "1"]);
        assert_eq!((lines[1][..2].to_vec(), lines[2][0]), (vec!["after", "2"], "3"));
        assert_eq!((lines[3][..2].to_vec(), lines[4][..2].to_vec()), (vec!["children", "5"], vec!["└", "6"]));
    }
}
