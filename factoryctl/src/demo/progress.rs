//! The tasks of the demo while they run: a line each that changes in place on a
//! terminal, and a line for each transition elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use anstream::adapter::strip_str;
use factory_proto::client::ClientConfig;
use factory_proto::client::follow::Update;
use factory_proto::v1;
use futures_util::StreamExt;
use futures_util::stream::SelectAll;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::exit::CommandError;
use crate::render::console::{BOLD, DIM};
use crate::render::task::state_style;
use crate::render::transcript::Transcript;
use crate::render::{Console, event, plain, units};
use crate::watch::{Incoming, Joiner, LogPlace, incoming};

const TICK: Duration = Duration::from_millis(120);

/// Follows `tasks` until all have ended.
pub async fn follow(
    config: &ClientConfig,
    console: Console,
    tasks: &[(v1::Submitted, String)],
) -> Result<(), CommandError> {
    let mut board = Board::new(console, tasks);
    let mut streams = SelectAll::new();
    let ids = tasks.iter().map(|(submitted, _)| submitted.id.clone()).collect();
    streams.push(incoming::events(config, ids, 0, false));
    while let Some(incoming) = streams.next().await {
        match incoming {
            Incoming::Event(update) => {
                if let Update::Next(event) = update? {
                    if event.kind == "accepted" && event.attempt_number == 1 {
                        let number = event.task_number;
                        streams.push(incoming::log(
                            config,
                            number,
                            event.task_id.clone(),
                            LogPlace::default(),
                        ));
                    }
                    board.event(&event);
                }
            }
            Incoming::EventsEnded => break,
            Incoming::Log(number, update) => {
                if let Update::Next(batch) = update? {
                    board.log(number, batch);
                }
            }
            Incoming::LogEnded(_) => {}
        }
    }
    if board.bars.is_some() {
        // The bars leave the cursor behind the last of them.
        console.note("");
    }
    Ok(())
}

struct Board {
    console: Console,
    /// `None`: no terminal.
    bars: Option<MultiProgress>,
    rows: BTreeMap<u64, Row>,
}

struct Row {
    title: String,
    bar: ProgressBar,
    state: v1::TaskState,
    worker: String,
    attempt: u32,
    /// The last thing said of it.
    activity: String,
    joiner: Joiner,
    transcript: Transcript,
}

impl Board {
    fn new(console: Console, tasks: &[(v1::Submitted, String)]) -> Self {
        let live = std::io::stderr().is_terminal();
        let bars = live.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        let rows = tasks.iter().map(|(submitted, title)| {
            let bar = bars.as_ref().map_or_else(ProgressBar::hidden, |bars| bars.add(spinner()));
            let row = Row {
                title: title.clone(),
                bar,
                state: v1::TaskState::Queued,
                worker: String::new(),
                attempt: 0,
                activity: String::new(),
                joiner: Joiner::default(),
                transcript: Transcript::default(),
            };
            (submitted.number, row)
        });
        let board = Self { rows: rows.collect(), bars, console };
        // Not before all are there: a line that is drawn while the next is added stays behind.
        for (number, row) in &board.rows {
            row.show(*number);
            row.bar.enable_steady_tick(TICK);
        }
        board
    }

    fn event(&mut self, event: &v1::Event) {
        let sentence = event::sentence(event);
        if self.bars.is_none() {
            let time = units::clock(event.at_ms);
            self.console.note(format_args!("{DIM}{time}{DIM:#} [{}] {sentence}", event.task_number));
        }
        let Some(row) = self.rows.get_mut(&event.task_number) else { return };
        row.state = event.state();
        row.worker.clone_from(&event.worker_name);
        row.attempt = event.attempt_number;
        // What went wrong stays on the screen until the next attempt says something.
        if matches!(event.kind.as_str(), "ended" | "lost" | "returned") && event.failure.is_some() {
            row.activity = strip_str(&sentence).to_string();
        }
        row.show(event.task_number);
        if event.state().is_terminal() {
            row.bar.finish();
        }
    }

    fn log(&mut self, number: u64, batch: v1::FollowLogResponse) {
        let Some(row) = self.rows.get_mut(&number) else { return };
        for record in batch.records {
            let Some(line) = row.joiner.push(batch.attempt_number, record) else { continue };
            let said = row.transcript.lines(line.stream, &line.data);
            // How the worker prepares is news; how it tidies up is none beside the agent's last words.
            if line.stream == v1::LogStream::Factory && row.state != v1::TaskState::Leased {
                continue;
            }
            // Words and calls; what tools answered stands indented, and would flicker by.
            if let Some(last) = said.iter().rev().find(|line| !line.starts_with(' ')) {
                row.activity = strip_str(last).to_string();
                row.show(number);
            }
        }
    }
}

impl Row {
    fn show(&self, number: u64) {
        let style = state_style(self.state);
        let state = self.state.name();
        let worker = plain::line(&self.worker);
        let title = plain::shorten(&self.title, 32);
        let again = if self.attempt > 1 { format!("attempt {} · ", self.attempt) } else { String::new() };
        let activity = self.activity.trim();
        self.bar.set_message(format!(
            "{BOLD}{number}{BOLD:#} {title:<32} {style}{state:<10}{style:#} {worker:<8} {again}{DIM}{activity}{DIM:#}"
        ));
    }
}

fn spinner() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner:.cyan} {wide_msg}")
        .expect("a fixed template that is right")
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ");
    ProgressBar::new_spinner().with_style(style)
}
