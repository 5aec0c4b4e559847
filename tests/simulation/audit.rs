//! When all has run out: what was promised is looked for, in the rows, the logs, and the agents' memory.

use std::collections::{BTreeMap, BTreeSet};

use factory_coordinator::logs::LogStore;
use factory_domain::{
    AttemptId, Event, Outcome, RetryPolicy, Standing, Tally, TaskId, TaskState, Waits, transition,
};
use factory_proto::v1::LogStream;
use tokio::runtime::Handle;

use crate::plan::{Ending, Plan, PlannedTask};
use crate::rows::{AttemptRow, EventRow, Rows, TaskRow};
use crate::store::outside;
use crate::world::{RULES, World};

/// What the rows held at the end.
pub struct Rest {
    pub tasks: Vec<TaskRow>,
    pub attempts: Vec<AttemptRow>,
    pub events: Vec<EventRow>,
}

impl Rest {
    pub fn read(world: &World, host: &Handle) -> Self {
        let database = world.database.clone();
        outside(host, async move {
            let mut rows = Rows::open(&database).await.expect("the database opens");
            Self {
                tasks: rows.tasks().await.expect("tasks"),
                attempts: rows.attempts().await.expect("attempts"),
                events: rows.events().await.expect("events"),
            }
        })
    }

    /// Every broken promise, a sentence each.
    pub fn look(&self, plan: &Plan, world: &World, host: &Handle) -> Vec<String> {
        let mut broken = Vec::new();
        self.look_at_tasks(plan, &mut broken);
        self.replay(&mut broken);
        self.look_at_logs(world, host, &mut broken);
        broken
    }

    fn look_at_tasks(&self, plan: &Plan, broken: &mut Vec<String>) {
        if self.tasks.len() != plan.tasks.len() {
            broken.push(format!(
                "{} tasks were submitted, and there are {}",
                plan.tasks.len(),
                self.tasks.len()
            ));
        }
        for task in &self.tasks {
            let number = task.key.trim_start_matches("task-").parse::<usize>().ok();
            let Some(planned) = number.and_then(|number| plan.tasks.get(number)) else {
                broken.push(format!("nobody submitted {}", task.key));
                continue;
            };
            if !may_end(planned, &task.state) {
                broken.push(format!(
                    "{} is {}, but was to be {:?}",
                    task.key, task.state, planned.script.ending
                ));
            }
            let of_task = || self.attempts.iter().filter(|attempt| attempt.task == task.id);
            let accepted = of_task()
                .filter(|attempt| {
                    attempt.report.as_ref().is_some_and(|report| report.outcome == Outcome::Succeeded)
                })
                .count();
            if accepted != usize::from(task.state == "succeeded") {
                broken.push(format!("{} is {} by {accepted} results", task.key, task.state));
            }
        }
    }

    /// The feed, through the domain's own rules, leads to the rows.
    fn replay(&self, broken: &mut Vec<String>) {
        let mut standings: BTreeMap<TaskId, Standing> = BTreeMap::new();
        let mut live: BTreeSet<(TaskId, AttemptId)> = BTreeSet::new();
        let mut last = None;
        for row in &self.events {
            if last.is_some_and(|(cursor, at)| row.cursor <= cursor || row.at < at) {
                broken.push(format!("event {} is out of order", row.cursor));
            }
            last = Some((row.cursor, row.at));
            let Some(event) = &row.event else {
                let standing = self.submitted(row.task);
                if standings.insert(row.task, standing).is_some() {
                    broken.push(format!("event {}: task {} was submitted twice", row.cursor, row.task));
                }
                continue;
            };
            match event {
                Event::Offered { attempt, .. } => {
                    live.insert((row.task, *attempt));
                }
                Event::Returned { attempt, .. } | Event::Lost { attempt } | Event::Ended { attempt, .. } => {
                    live.remove(&(row.task, *attempt));
                }
                _ => {}
            }
            if live.iter().filter(|(task, _)| *task == row.task).count() > 1 {
                broken.push(format!("event {}: task {} has two live attempts", row.cursor, row.task));
            }
            let Some(standing) = standings.get_mut(&row.task) else {
                broken.push(format!("event {}: task {} was never submitted", row.cursor, row.task));
                continue;
            };
            match transition(standing, event, row.at) {
                Ok(decision) if decision.state == row.state => {
                    standing.state = decision.state;
                    standing.tally = decision.tally;
                }
                Ok(decision) => broken.push(format!(
                    "event {}: {event:?} leads to {:?}, and the feed says {:?}",
                    row.cursor, decision.state, row.state
                )),
                Err(why) => broken.push(format!("event {}: {event:?}: {why}", row.cursor)),
            }
        }
        for task in &self.tasks {
            let told = standings.get(&task.id).map(|standing| standing.state.name());
            if told != Some(task.state.as_str()) {
                broken.push(format!("{} is {}, and by its events {told:?}", task.key, task.state));
            }
        }
    }

    fn submitted(&self, task: TaskId) -> Standing {
        let row = self.tasks.iter().find(|row| row.id == task);
        let policy = RetryPolicy {
            max_attempts: row.map_or(1, |row| row.max_attempts),
            max_infrastructure_failures: RULES.max_infrastructure_failures,
            backoff: RULES.backoff,
        };
        Standing {
            state: TaskState::Queued,
            tally: Tally::default(),
            policy,
            open_questions: 0,
            waits: Waits::default(),
        }
    }

    /// What an agent printed is in its log, once and in order: all of it where its report was
    /// accepted, and else from the beginning up to some line.
    fn look_at_logs(&self, world: &World, host: &Handle, broken: &mut Vec<String>) {
        let printed: BTreeMap<AttemptId, Vec<String>> =
            world.hosts.iter().flat_map(|host| host.printed()).collect();
        let logs = LogStore::open(world.logs.clone()).expect("the logs open");
        for attempt in &self.attempts {
            let (logs, id) = (logs.clone(), attempt.id);
            let page = outside(host, async move { logs.read(id, 0, usize::MAX, usize::MAX).await });
            let records = page.expect("a log is read").records;
            let name = format!("attempt {} ({}) of {}", attempt.number, attempt.state, attempt.task);
            if records.iter().zip(0..).any(|(record, offset)| record.offset != offset) {
                broken.push(format!("{name}: records out of order"));
            }
            let lines: Vec<_> = records
                .iter()
                .filter(|record| record.stream() == LogStream::Stdout)
                .map(|record| String::from_utf8_lossy(&record.data).into_owned())
                .collect();
            let said = printed.get(&attempt.id).cloned().unwrap_or_default();
            let whole = attempt.report.as_ref().map(|report| report.log_records);
            let kept = u64::try_from(records.len()).unwrap_or(u64::MAX);
            let complete = whole.is_none_or(|records| records == kept && lines == said);
            if !complete || !said.starts_with(&lines) {
                broken.push(format!(
                    "{name}: the log has {} lines in {kept} records, the agent printed {}, the report says {whole:?} records",
                    lines.len(),
                    said.len()
                ));
            }
        }
    }
}

/// Whether a task so planned may end so.
fn may_end(planned: &PlannedTask, state: &str) -> bool {
    if state == "cancelled" {
        return planned.cancelled_at.is_some();
    }
    let cut_short = planned.timeout.is_some();
    match planned.script.ending {
        Ending::Succeeds | Ending::LimitedOnce | Ending::VanishesOnce => {
            state == "succeeded" || (state == "failed" && cut_short)
        }
        Ending::FailsOnce => {
            state == "succeeded" || (state == "failed" && (cut_short || planned.max_attempts == 1))
        }
        Ending::Fails | Ending::Hangs => state == "failed",
    }
}
