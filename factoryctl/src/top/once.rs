//! One frame, for scripts.

use std::collections::BTreeMap;

use factory_proto::v1::TaskState;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde::Serialize;

use super::list::STATES;
use super::model::Model;
use super::view::{self, Theme};
use crate::exit::CommandError;
use crate::render::Console;
use crate::render::json::{TaskView, WorkerView};

/// Rows of a frame around the tasks and workers: header, titles, names of columns, the foot.
const AROUND: usize = 7;
/// Rows of a screen with room for everything.
const LEAST: u16 = 30;

/// Prints the model: as text with a line for every task listed, or as JSON.
pub fn print(console: Console, model: &mut Model, width: u16) -> Result<(), CommandError> {
    if !console.for_people() {
        return console.value(&Snapshot::of(model));
    }
    let rows = model.listed().len() + model.fleet.workers.len() + AROUND;
    // A buffer has room for so many cells.
    let height = u16::try_from(rows).unwrap_or(u16::MAX).max(LEAST).min(u16::MAX / width.max(1));
    model.area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(model.area);
    view::draw(model, Theme { colored: false }, model.area, &mut buf);
    let row = |y| (0..width).filter_map(|x| Some(buf.cell((x, y))?.symbol())).collect::<String>();
    // The last line has the keys, which nobody presses here.
    let text = (0..height - 1).map(|y| format!("{}\n", row(y).trim_end())).collect::<String>();
    console.line(text.trim_end())
}

/// The whole model, for programs.
#[derive(Debug, Serialize)]
struct Snapshot<'a> {
    coordinator: &'a str,
    states: BTreeMap<&'static str, u64>,
    slots: u32,
    busy: u32,
    cost_micro_usd: u64,
    open_questions: u64,
    workers: Vec<WorkerView<'a>>,
    /// The newest, and all that are at work or wait for someone.
    tasks: Vec<TaskView<'a>>,
}

impl<'a> Snapshot<'a> {
    fn of(model: &'a Model) -> Self {
        let fleet = &model.fleet;
        let (busy, slots) = fleet.slots();
        let count = |state: &TaskState| (state.name(), fleet.count(*state));
        Self {
            coordinator: &fleet.url,
            states: STATES.iter().map(count).collect(),
            slots,
            busy,
            cost_micro_usd: fleet.cost_micro_usd(),
            open_questions: fleet.open_questions(),
            workers: fleet.workers.iter().map(WorkerView::from).collect(),
            tasks: model.listed().into_iter().map(TaskView::from).collect(),
        }
    }
}
