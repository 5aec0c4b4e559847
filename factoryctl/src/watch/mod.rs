//! Following tasks: the event feed and the logs, merged into one telling that
//! can be broken off and gone on with.
//!
//! Two kinds of stream come in: one with the events of all tasks watched, and
//! one with the log of each task. Their order among each other is mended in one
//! place only: the event that ends an attempt is held back until that attempt's
//! log has been shown, so that nobody reads of an end before what led to it.

mod cursor;
mod held;
pub mod incoming;
mod lines;
mod open;
mod view;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use factory_proto::client::follow::Update;
use factory_proto::client::{Client, ClientConfig};
use factory_proto::v1;
use factory_proto::v1::TaskState;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, SelectAll};
use tokio::time::{Instant, MissedTickBehavior};
use tonic::Code;

use crate::exit::{CommandError, Exit, connection_broke};
use crate::render::transcript::Transcript;
use held::HeldEvents;

pub use cursor::{LogPlace, WatchCursor};
pub use incoming::Incoming;
pub use lines::Joiner;
pub use view::View;

/// How often a waiting task is asked why it waits.
const WAITING_POLL: Duration = Duration::from_secs(2);
/// How soon a coordinator that did not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// What to watch.
#[derive(Debug)]
pub enum Subject {
    /// Numbers, ids or prefixes.
    Tasks(Vec<String>),
    /// Every task from now on.
    All,
}

/// How a spell of following ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spell {
    /// Every task named has ended.
    Ended,
    Interrupted,
}

/// One task being watched.
#[derive(Debug, Default)]
struct Watched {
    id: String,
    state: TaskState,
    /// Since when it is in this state, by our clock.
    since: Option<Instant>,
    joiner: Joiner,
    transcript: Transcript,
    log: Log,
    told_waiting: String,
    summed_up: bool,
}

impl Watched {
    fn new(task: &v1::Task) -> Self {
        Self { id: task.id.clone(), state: task.state(), since: Some(Instant::now()), ..Self::default() }
    }
}

/// How far a task's log has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Log {
    #[default]
    Unopened,
    Open,
    Ended,
}

/// A watch in progress. Following it can be interrupted and taken up again.
pub struct Watch {
    client: Client,
    config: ClientConfig,
    view: View,
    cursor: WatchCursor,
    tasks: BTreeMap<u64, Watched>,
    incoming: SelectAll<BoxStream<'static, Incoming>>,
    held: HeldEvents,
    events_ended: bool,
    /// The connection is lost, and that has been said.
    away: bool,
    all: bool,
}

impl Watch {
    fn follow_log(&mut self, number: u64) {
        let Some(task) = self.tasks.get_mut(&number).filter(|task| task.log == Log::Unopened) else { return };
        task.log = Log::Open;
        let from = self.cursor.logs.get(&number).copied().unwrap_or_default();
        self.incoming.push(incoming::log(&self.config, number, task.id.clone(), from));
    }

    pub fn cursor(&self) -> &WatchCursor {
        &self.cursor
    }

    /// By the states the tasks are in.
    pub fn exit(&self) -> Exit {
        let bad = |task: &Watched| matches!(task.state, TaskState::Failed | TaskState::Cancelled);
        if self.tasks.values().any(bad) { Exit::Failed } else { Exit::Done }
    }

    /// Shows what comes, until the tasks have ended or `interrupt` is ready.
    /// After an interrupt it can be called again, and goes on.
    pub async fn follow(&mut self, interrupt: impl Future<Output = ()>) -> Result<Spell, CommandError> {
        tokio::select! {
            ended = self.follow_to_the_end() => ended.map(|()| Spell::Ended),
            () = interrupt => Ok(Spell::Interrupted),
        }
    }

    async fn follow_to_the_end(&mut self) -> Result<(), CommandError> {
        let mut poll = tokio::time::interval(WAITING_POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.release_events().await?;
            if self.is_over() {
                return self.sum_up_the_rest().await;
            }
            let deadline = self.held.deadline();
            tokio::select! {
                Some(incoming) = self.incoming.next() => self.take(incoming)?,
                () = sleep_until(deadline) => self.held.give_up_waiting(),
                _ = poll.tick() => self.tell_what_is_waited_for().await?,
            }
        }
    }

    fn is_over(&self) -> bool {
        let logs_done = self.tasks.values().all(|task| task.log != Log::Open || task.summed_up);
        self.events_ended && self.held.is_empty() && logs_done
    }

    fn take(&mut self, incoming: Incoming) -> Result<(), CommandError> {
        match incoming {
            Incoming::Event(update) => match update? {
                Update::Next(event) => self.held.push(event),
                Update::Disconnected { cause, .. } => {
                    if !std::mem::replace(&mut self.away, true) {
                        self.view.note(&format!("connection lost ({}); trying again", cause.message()));
                    }
                }
                Update::Reconnected => {
                    self.away = false;
                    self.view.note("connected again");
                }
            },
            Incoming::EventsEnded => self.events_ended = true,
            // The stream of events speaks for all: they share the fate of the coordinator.
            Incoming::Log(number, update) => match update {
                Ok(Update::Next(batch)) => self.show_log(number, batch)?,
                Ok(Update::Disconnected { .. } | Update::Reconnected) => {}
                // The log is kept no longer; all else can be told without it.
                Err(status) if status.code() == Code::NotFound => self.view.note(status.message()),
                Err(status) => return Err(status.into()),
            },
            Incoming::LogEnded(number) => {
                if let Some(task) = self.tasks.get_mut(&number) {
                    task.log = Log::Ended;
                }
            }
        }
        Ok(())
    }

    fn show_log(&mut self, number: u64, batch: v1::FollowLogResponse) -> Result<(), CommandError> {
        let Some(task) = self.tasks.get_mut(&number) else { return Ok(()) };
        for record in batch.records {
            if let Some(line) = task.joiner.push(batch.attempt_number, record) {
                self.cursor.logs.insert(number, line.next);
                self.view.log_line(number, &mut task.transcript, &line, Some(&self.cursor))?;
            }
        }
        Ok(())
    }

    /// Shows the events whose time has come.
    async fn release_events(&mut self) -> Result<(), CommandError> {
        while let Some(event) = self.held.front() {
            let number = event.task_number;
            let log_ended = self.tasks.get(&number).is_none_or(|task| task.log != Log::Open);
            let place = self.cursor.logs.get(&number).copied().unwrap_or_default();
            if self.held.needs_length() {
                let records = self.records_of(&event.task_id, event.attempt_number).await?;
                self.held.set_length(records);
            }
            let Some(event) = self.held.pop_ready(place, log_ended) else { return Ok(()) };
            self.show_event(event).await?;
        }
        Ok(())
    }

    async fn show_event(&mut self, event: v1::Event) -> Result<(), CommandError> {
        let number = event.task_number;
        self.cursor.event = event.cursor;
        self.view.event(&event, &self.cursor)?;
        let task = self.tasks.entry(number).or_default();
        task.id.clone_from(&event.task_id);
        task.state = event.state();
        task.since = Some(Instant::now());
        task.told_waiting.clear();
        if matches!(event.kind.as_str(), "accepted" | "started") {
            self.follow_log(number);
        }
        if event.state().is_terminal() {
            self.sum_up(number).await?;
        }
        Ok(())
    }

    /// How many records the log of an attempt has in all, by its report; 0 where there is none.
    async fn records_of(&self, task: &str, attempt: u32) -> Result<u64, CommandError> {
        let reply = self.get(task).await?;
        let attempt = reply.attempts.into_iter().find(|found| found.number == attempt);
        Ok(attempt.and_then(|attempt| attempt.report).map_or(0, |report| report.log_records))
    }

    async fn sum_up(&mut self, number: u64) -> Result<(), CommandError> {
        let Some(task) = self.tasks.get(&number).filter(|task| !task.summed_up) else { return Ok(()) };
        let entry = self.get(&task.id).await?.task.unwrap_or_default();
        self.view.ended(&entry)?;
        if self.all {
            // A watch without an end must not remember every task there ever was.
            self.tasks.remove(&number);
            self.cursor.logs.remove(&number);
        } else if let Some(task) = self.tasks.get_mut(&number) {
            task.summed_up = true;
            task.state = entry.state();
        }
        Ok(())
    }

    /// Asks until a coordinator that is being restarted is there again.
    async fn get(&self, task: &str) -> Result<v1::GetResponse, CommandError> {
        let mut told = self.away;
        loop {
            let request = self.client.request(v1::GetRequest { task: task.to_owned() });
            match self.client.tasks().get(request).await {
                Ok(reply) => return Ok(reply.into_inner()),
                Err(status) if connection_broke(&status) => {
                    if !std::mem::replace(&mut told, true) {
                        self.view.note("connection lost; trying again");
                    }
                    tokio::time::sleep(ASK_AGAIN).await;
                }
                Err(status) => return Err(status.into()),
            }
        }
    }

    /// Tasks whose end lies before the cursor this watch began at.
    async fn sum_up_the_rest(&mut self) -> Result<(), CommandError> {
        let numbers: Vec<_> = self.tasks.keys().copied().collect();
        for number in numbers {
            self.sum_up(number).await?;
        }
        Ok(())
    }

    async fn tell_what_is_waited_for(&mut self) -> Result<(), CommandError> {
        /// Enough to see what is wrong, and bounded work in a crowd.
        const ASKED: usize = 8;
        let now = Instant::now();
        let settled = |task: &Watched| task.since.is_none_or(|since| now - since > Duration::from_secs(1));
        let waiting: Vec<_> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.state == TaskState::Queued && settled(task))
            .map(|(number, task)| (*number, task.id.clone()))
            .take(ASKED)
            .collect();
        for (number, id) in waiting {
            let request = self.client.request(v1::GetRequest { task: id });
            // The streams notice a coordinator that is away, and say so.
            let Ok(reply) = self.client.tasks().get(request).await else { continue };
            let now = reply.into_inner().task.unwrap_or_default();
            let why = if now.state() == TaskState::Queued { now.waiting_for } else { String::new() };
            let Some(task) = self.tasks.get_mut(&number) else { continue };
            if !why.is_empty() && why != task.told_waiting {
                self.view.waiting(number, &why)?;
                task.told_waiting = why;
            }
        }
        Ok(())
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
