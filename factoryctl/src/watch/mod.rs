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

use crate::exit::{CommandError, Exit};
use crate::render::Console;
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
    /// Finds the tasks and opens their streams.
    pub async fn open(
        client: Client,
        config: ClientConfig,
        console: Console,
        subject: Subject,
        since: Option<WatchCursor>,
        raw: bool,
    ) -> Result<Self, CommandError> {
        let prefixed = !matches!(&subject, Subject::Tasks(names) if names.len() == 1);
        let mut watch = Self {
            client,
            config,
            view: View::new(console, raw, prefixed),
            all: matches!(subject, Subject::All),
            cursor: since.clone().unwrap_or_default(),
            tasks: BTreeMap::new(),
            incoming: SelectAll::new(),
            held: HeldEvents::default(),
            events_ended: false,
            away: false,
        };
        let names = match subject {
            Subject::Tasks(names) => {
                for name in names {
                    watch.enter_task(name, since.is_some()).await?;
                }
                watch.tasks.values().map(|task| task.id.clone()).collect()
            }
            Subject::All => {
                watch.enter_live_tasks(since.is_none()).await?;
                Vec::new()
            }
        };
        watch.incoming.push(incoming::events(&watch.config, names, watch.cursor.event, watch.all));
        Ok(watch)
    }

    /// From the beginning on, a log is opened by the event that begins its attempt, so
    /// that the telling keeps its order; a cursor may lie behind that event.
    async fn enter_task(&mut self, name: String, resumed: bool) -> Result<(), CommandError> {
        let request = self.client.request(v1::GetRequest { task: name });
        let reply = self.client.tasks().get(request).await?.into_inner();
        let task = reply.task.unwrap_or_default();
        let (number, attempts) = (task.number, task.attempts);
        self.tasks.insert(number, Watched::new(&task));
        if resumed && attempts > 0 {
            self.follow_log(number);
        }
        Ok(())
    }

    /// Of tasks that already run, what they printed before is not shown again.
    async fn enter_live_tasks(&mut self, from_now: bool) -> Result<(), CommandError> {
        use TaskState as S;
        let states = [S::Queued, S::Leased, S::Running, S::Cancelling, S::Parked];
        let request = v1::ListRequest {
            states: states.map(i32::from).to_vec(),
            page_size: 1000,
            ..v1::ListRequest::default()
        };
        let reply = self.client.tasks().list(self.client.request(request)).await?.into_inner();
        if from_now {
            self.cursor.event = reply.cursor;
        }
        for task in reply.tasks {
            let (number, attempts) = (task.number, task.attempts);
            if from_now && attempts > 0 {
                let place = self.log_end(&task.id).await?;
                self.cursor.logs.insert(number, place);
            }
            self.tasks.insert(number, Watched::new(&task));
            if attempts > 0 {
                self.follow_log(number);
            }
        }
        Ok(())
    }

    async fn log_end(&self, id: &str) -> Result<LogPlace, CommandError> {
        let request =
            v1::ReadLogRequest { task: id.to_owned(), tail: Some(1), ..v1::ReadLogRequest::default() };
        match self.client.logs().read(self.client.request(request)).await {
            Ok(reply) => {
                let page = reply.into_inner();
                Ok(LogPlace { attempt: page.attempt_number, offset: page.next_offset })
            }
            Err(status) if status.code() == Code::NotFound => Ok(LogPlace::default()),
            Err(status) => Err(status.into()),
        }
    }

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
        if self.tasks.values().any(bad) && !self.all { Exit::Failed } else { Exit::Done }
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
            Incoming::Log(number, update) => {
                if let Update::Next(batch) = update? {
                    self.show_log(number, batch)?;
                }
            }
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
                let records = self.records_of(&self.held.front_task(), self.held.front_attempt()).await?;
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
        if let Some(task) = self.tasks.get_mut(&number) {
            task.summed_up = true;
            task.state = entry.state();
        }
        Ok(())
    }

    /// Asks until a coordinator that is being restarted is there again.
    async fn get(&self, task: &str) -> Result<v1::GetResponse, CommandError> {
        loop {
            let request = self.client.request(v1::GetRequest { task: task.to_owned() });
            match self.client.tasks().get(request).await {
                Ok(reply) => return Ok(reply.into_inner()),
                Err(status) if status.code() == Code::Unavailable => tokio::time::sleep(ASK_AGAIN).await,
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
            let why = reply.into_inner().task.unwrap_or_default().waiting_for;
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
