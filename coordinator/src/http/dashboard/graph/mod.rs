//! `/graph`: what waits for what, and whose child is whose, as boxes and lines.

mod layout;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::page::Frame;
use crate::app::{App, Related};
use crate::http::extract::Query;
use crate::http::problem::Problem;
use crate::store::Relative;
use layout::{BOX_HEIGHT, BOX_WIDTH, lay_out};

/// Tasks of a page of their own.
const MOST: u32 = 300;
/// Characters of a title that fit into a box.
const TITLE: usize = 27;

#[derive(Debug, Deserialize)]
pub struct Wanted {
    /// All that hangs together with this one.
    #[serde(default)]
    task: String,
}

#[derive(Serialize)]
struct Page {
    /// As it was asked for.
    task: String,
    graph: Graph,
    most: u32,
}

/// A picture of tasks.
#[derive(Debug, Serialize)]
pub struct Graph {
    width: f64,
    height: f64,
    box_width: f64,
    box_height: f64,
    tasks: Vec<Box>,
    lines: Vec<Line>,
    /// There are more tasks than are drawn.
    cut: bool,
}

#[derive(Debug, Serialize)]
struct Box {
    number: u64,
    title: String,
    /// What of it fits.
    short: String,
    state: String,
    x: f64,
    y: f64,
    /// It is the one asked for.
    chosen: bool,
}

#[derive(Debug, Serialize)]
struct Line {
    from: u64,
    to: u64,
    /// after, child.
    kind: &'static str,
    /// The data of an SVG path.
    path: String,
}

pub async fn show(
    frame: Frame,
    State(app): State<Arc<App>>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let (related, chosen) = match wanted.task.trim() {
        "" => (app.newest_related(MOST).await?, None),
        task => {
            let related = app.related(task, MOST).await?;
            let chosen = related.tasks.first().map(|task| task.number);
            (related, chosen)
        }
    };
    let graph = Graph::new(related, chosen);
    frame.page("graph.html", "Graph", Page { task: wanted.task, graph, most: MOST })
}

impl Graph {
    pub fn new(Related { mut tasks, cut }: Related, chosen: Option<u64>) -> Self {
        tasks.sort_by_key(|task| task.number);
        let place: HashMap<_, _> = tasks.iter().enumerate().map(|(at, task)| (task.id, at)).collect();
        let (mut ends, mut kinds) = (Vec::new(), Vec::new());
        for (to, task) in tasks.iter().enumerate() {
            let after = task.after.iter().filter_map(|needs| place.get(needs)).map(|from| (*from, "after"));
            let parent =
                task.parent.iter().filter_map(|parent| place.get(parent)).map(|from| (*from, "child"));
            for (from, kind) in after.chain(parent) {
                ends.push((from, to));
                kinds.push(kind);
            }
        }
        let layout = lay_out(tasks.len(), &ends);
        let mut lines = Vec::with_capacity(ends.len());
        for (index, points) in layout.lines.iter().enumerate() {
            let (from, to) = ends[index];
            let (from, to) = (tasks[from].number, tasks[to].number);
            lines.push(Line { from, to, kind: kinds[index], path: path(points) });
        }
        let tasks =
            tasks.into_iter().zip(&layout.boxes).map(|(task, at)| Box::new(task, *at, chosen)).collect();
        Self {
            width: layout.width,
            height: layout.height,
            box_width: BOX_WIDTH,
            box_height: BOX_HEIGHT,
            tasks,
            lines,
            cut,
        }
    }
}

impl Box {
    fn new(task: Relative, (x, y): (f64, f64), chosen: Option<u64>) -> Self {
        let mut short: String = task.title.chars().take(TITLE).collect();
        if short.len() < task.title.len() {
            short.push('…');
        }
        let chosen = chosen == Some(task.number);
        Self { number: task.number, short, title: task.title, state: task.state, x, y, chosen }
    }
}

/// A curve through the points that leaves and enters each straight from the side.
fn path(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for pair in points.windows(2) {
        let [(x, y), (next_x, next_y)] = pair else { continue };
        let middle = (x + next_x) / 2.0;
        // Writing to a String cannot fail.
        let _ = match path.is_empty() {
            true => write!(path, "M{x} {y}C{middle} {y} {middle} {next_y} {next_x} {next_y}"),
            false => write!(path, "C{middle} {y} {middle} {next_y} {next_x} {next_y}"),
        };
    }
    path
}
