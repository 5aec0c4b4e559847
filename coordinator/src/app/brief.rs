//! What the library adds to tasks as they are accepted: what their roles say and they do not, and
//! what their agents are told.

use std::collections::HashMap;

use factory_domain::{AgentKind, Brief, TaskId, TaskSpec, Timestamp};

use super::{App, Error, FieldViolation};
use crate::library::{Placeholders, Shelf, Unusable, list_of};
use crate::store::NewTask;

/// How templates tell an agent of the message board.
const BOARD: &str = "the factory's tools `read_messages` and `post_message`";

impl App {
    /// Makes `tasks` whole: nothing is looked up for those that name neither a role nor a type.
    pub(super) async fn brief(&self, tasks: &mut [NewTask]) -> Result<(), Error> {
        if tasks.iter().all(|task| task.spec.role.is_none() && task.spec.task_type.is_none()) {
            return Ok(());
        }
        let shelf = self.library.shelf().await.ok_or(Error::Stopping)?;
        let batch = Batch::of(tasks);
        let mut violations = Vec::new();
        for (index, task) in tasks.iter_mut().enumerate() {
            let values = batch.placeholders(task, self.clock.now());
            match brief(&shelf, &mut task.spec, values) {
                Ok(brief) => task.brief = brief,
                Err((field, why)) => {
                    violations.push(FieldViolation::new(format!("tasks[{index}].{field}"), why));
                }
            }
        }
        if violations.is_empty() { Ok(()) } else { Err(Error::Invalid(violations)) }
    }
}

fn brief(
    shelf: &Shelf,
    spec: &mut TaskSpec,
    mut values: Placeholders,
) -> Result<Brief, (&'static str, Unusable)> {
    let mut brief = Brief::default();
    if let Some(name) = &spec.role {
        let role = shelf.role(name.as_str()).map_err(|why| ("role", why))?;
        role.fill(spec);
        values.role = role.name.to_string();
        brief.system_prompt = Some(shelf.prompt_of(role, &values).map_err(|why| ("role", why))?);
    }
    if let Some(name) = &spec.task_type {
        let template = shelf.template(name.as_str()).map_err(|why| ("type", why))?;
        // A script is followed to the letter, and a program may do without a prompt.
        if spec.agent != AgentKind::Scripted && !spec.prompt.is_empty() {
            brief.prompt = Some(shelf.fill(template, values).map_err(|why| ("type", why))?);
        }
    }
    Ok(brief)
}

/// How the tasks of one call stand to each other.
pub(super) struct Batch {
    titles: HashMap<TaskId, String>,
    after: HashMap<TaskId, Vec<TaskId>>,
    unblocks: HashMap<TaskId, Vec<TaskId>>,
}

impl Batch {
    pub(super) fn of(tasks: &[NewTask]) -> Self {
        let mut unblocks: HashMap<TaskId, Vec<TaskId>> = HashMap::new();
        for task in tasks {
            for needed in &task.links.after {
                unblocks.entry(*needed).or_default().push(task.id);
            }
        }
        Self {
            titles: tasks.iter().map(|task| (task.id, task.spec.title.clone())).collect(),
            after: tasks.iter().map(|task| (task.id, task.links.after.clone())).collect(),
            unblocks,
        }
    }

    pub(super) fn placeholders(&self, task: &NewTask, now: Timestamp) -> Placeholders {
        let spec = &task.spec;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let repo = spec.repo.as_ref().map(ToString::to_string).unwrap_or_default();
        let parent = task.links.parent.map(|parent| parent.to_string());
        let time = utc(now);
        Placeholders {
            task_id: task.id.to_string(),
            task_name: spec.title.clone(),
            task_instructions: spec.prompt.clone(),
            acceptance: text(&spec.acceptance),
            files: list_of(&spec.touches),
            depends_on: self.list(&task.links.after),
            unblocks: self.unblocks.get(&task.id).map(|tasks| self.list(tasks)).unwrap_or_default(),
            phase: self.phase(task.id).to_string(),
            track_id: spec.project.clone().or(parent).unwrap_or_else(|| repo.clone()),
            role: spec.role.as_ref().map(ToString::to_string).unwrap_or_default(),
            repo,
            directory: text(&spec.directory),
            issue: text(&spec.issue),
            project: text(&spec.project),
            worker_id: format!("worker-{}-{}", task.id, time.replace([':', '-', 'T', 'Z'], "")),
            timestamp: time,
            message_bus_path: BOARD.to_owned(),
            ..Placeholders::default()
        }
    }

    fn list(&self, tasks: &[TaskId]) -> String {
        list_of(tasks.iter().map(|id| match self.titles.get(id) {
            Some(title) => format!("{title} (task {id})"),
            None => format!("task {id}"),
        }))
    }

    /// Its place in the longest line of tasks of this call that ends with it. They hold no cycle: that was checked.
    fn phase(&self, task: TaskId) -> usize {
        let mut phase = 1;
        let mut reached = vec![task];
        loop {
            let before = reached.iter().filter_map(|task| self.after.get(task)).flatten();
            let mut before: Vec<TaskId> =
                before.copied().filter(|task| self.after.contains_key(task)).collect();
            before.sort_unstable();
            before.dedup();
            if before.is_empty() || phase > self.after.len() {
                return phase;
            }
            phase += 1;
            reached = before;
        }
    }
}

/// To the second: `2026-01-31T12:00:00Z`.
fn utc(time: Timestamp) -> String {
    let seconds = jiff::Timestamp::from_second(time.as_millis().div_euclid(1000));
    seconds.map(|time| time.to_string()).unwrap_or_default()
}
