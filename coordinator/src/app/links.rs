//! How the tasks of one submit stand to one another and to those there are: what each is named by
//! is found, and what would never come to its turn is refused.

use std::collections::{HashMap, HashSet};

use factory_domain::{Links, Slug, TaskId, dependency};

use super::{App, Error, FieldViolation, Wanted};
use crate::store::ResolveError;

/// What the tasks of one call can wait for, in all.
const MAX_AFTER: usize = 20_000;
/// Tasks of the same call are named by their names with this before them.
const OF_THE_CALL: char = '@';

/// A task that is named: one of the call, by its place, or one that is there.
#[derive(Clone, Copy)]
enum Named {
    New(usize),
    There(TaskId),
}

/// The tasks of a call, and what was found wrong with it so far.
struct Call<'w> {
    app: &'w App,
    wanted: &'w [Wanted],
    ids: &'w [TaskId],
    names: HashMap<&'w str, usize>,
    /// For each the first of the call under the same key, which is the same task.
    first: Vec<usize>,
    /// Looked up already.
    there: HashMap<&'w str, TaskId>,
    violations: Vec<FieldViolation>,
}

impl App {
    /// The links of each of `wanted`, whose ids will be `ids`. Every violation at once.
    pub(super) async fn links(&self, wanted: &[Wanted], ids: &[TaskId]) -> Result<Vec<Links>, Error> {
        let links = wanted.iter().map(|task| task.after.len()).sum::<usize>();
        if links > MAX_AFTER {
            let why = format!("wait for {links} tasks in all; at most {MAX_AFTER} in one call");
            return Err(Error::invalid("tasks", why));
        }
        let mut call = Call {
            app: self,
            wanted,
            ids,
            names: HashMap::new(),
            first: first_of_each_key(wanted),
            there: HashMap::new(),
            violations: Vec::new(),
        };
        call.take_names();
        let (mut links, mut waits, mut parents) = (Vec::new(), Vec::new(), Vec::new());
        for (index, task) in wanted.iter().enumerate() {
            let after = call.after(index, task).await?;
            let parent = call.one(&task.parent, || format!("tasks[{index}].parent")).await?;
            let goes_on_from = call.goes_on_from(index, task, &after).await?;
            waits.push(call.among_the_call(&after));
            parents.push(call.among_the_call(&parent.map_or(Vec::new(), |parent| vec![(0, parent)])));
            let mut seen = HashSet::new();
            let after = after.iter().map(|(_, named)| call.id(*named)).filter(|id| seen.insert(*id));
            links.push(Links {
                after: after.collect(),
                on_failed_dependency: task.on_failed_dependency,
                parent: parent.map(|named| call.id(named)),
                goes_on_from: goes_on_from.map(|named| call.id(named)),
                hold: task.hold,
            });
        }
        call.refuse_circle(&waits, |task, way| {
            (format!("tasks[{task}].after[{way}]"), "would wait for itself")
        });
        call.refuse_circle(&parents, |task, _| (format!("tasks[{task}].parent"), "would be its own child"));
        if call.violations.is_empty() { Ok(links) } else { Err(Error::Invalid(call.violations)) }
    }
}

impl<'w> Call<'w> {
    fn take_names(&mut self) {
        for (index, task) in self.wanted.iter().enumerate().filter(|(_, task)| !task.name.is_empty()) {
            let field = || format!("tasks[{index}].name");
            if let Err(why) = Slug::parse(&task.name) {
                self.violations.push(FieldViolation::new(field(), why));
            }
            if let Some(first) = self.names.insert(&task.name, index) {
                let why = format!("`{}` is the name of tasks[{first}] already", task.name);
                self.violations.push(FieldViolation::new(field(), why));
            }
        }
    }

    /// Those it waits for, each with its place among them.
    async fn after(&mut self, index: usize, task: &'w Wanted) -> Result<Vec<(usize, Named)>, Error> {
        let mut after = Vec::with_capacity(task.after.len());
        for (way, name) in task.after.iter().enumerate() {
            let field = || format!("tasks[{index}].after[{way}]");
            if name.is_empty() {
                self.violations.push(FieldViolation::new(field(), "is empty"));
            }
            after.extend(self.one(name, field).await?.map(|named| (way, named)));
        }
        Ok(after)
    }

    /// It has ended by the time its work is gone on with.
    async fn goes_on_from(
        &mut self,
        index: usize,
        task: &'w Wanted,
        after: &[(usize, Named)],
    ) -> Result<Option<Named>, Error> {
        let field = || format!("tasks[{index}].goes_on_from");
        let Some(from) = self.one(&task.goes_on_from, field).await? else { return Ok(None) };
        let id = self.id(from);
        let waits = after.iter().any(|(_, named)| self.id(*named) == id);
        let ended = match from {
            Named::There(id) => self.app.store.task(id).await?.is_some_and(|it| it.state.is_terminal()),
            Named::New(_) => false,
        };
        if !waits && !ended {
            let why = format!("`{}` has not ended; name it in `after` as well", task.goes_on_from);
            self.violations.push(FieldViolation::new(field(), why));
        }
        Ok(Some(from))
    }

    /// The task named, if one is named, and there is one.
    async fn one(&mut self, name: &'w str, field: impl Fn() -> String) -> Result<Option<Named>, Error> {
        if name.is_empty() {
            return Ok(None);
        }
        if let Some(of_call) = name.strip_prefix(OF_THE_CALL) {
            let found = self.names.get(of_call).copied().map(Named::New);
            if found.is_none() {
                let why = format!("no task of this call is named `{of_call}`");
                self.violations.push(FieldViolation::new(field(), why));
            }
            return Ok(found);
        }
        if let Some(known) = self.there.get(name) {
            return Ok(Some(Named::There(*known)));
        }
        match self.app.store.resolve(name).await {
            Ok(id) => {
                self.there.insert(name, id);
                Ok(Some(Named::There(id)))
            }
            Err(ResolveError::Store(error)) => Err(error.into()),
            Err(why) => {
                self.violations.push(FieldViolation::new(field(), format!("names no task: {why}")));
                Ok(None)
            }
        }
    }

    fn id(&self, named: Named) -> TaskId {
        match named {
            Named::New(index) => self.ids[index],
            Named::There(id) => id,
        }
    }

    /// Those of the call, each with its place in what named it.
    fn among_the_call(&self, named: &[(usize, Named)]) -> Vec<(usize, usize)> {
        let new = named.iter().filter_map(|(way, named)| match named {
            Named::New(index) => Some((*way, self.first[*index])),
            Named::There(_) => None,
        });
        new.collect()
    }

    /// Refuses a circle among `ways`, by which each task leads to others, with the way around it.
    /// `field` says which of them leads on, by task and place, and what that would mean.
    fn refuse_circle(
        &mut self,
        ways: &[Vec<(usize, usize)>],
        field: impl Fn(usize, usize) -> (String, &'static str),
    ) {
        let leads_to: Vec<Vec<usize>> =
            ways.iter().map(|ways| ways.iter().map(|(_, to)| *to).collect()).collect();
        let Some(circle) = dependency::circle(&leads_to) else { return };
        let on = ways[circle[0]].iter().find(|(_, to)| *to == circle[1]);
        let way = on.map_or(0, |(way, _)| *way);
        let (field, what) = field(circle[0], way);
        let names: Vec<_> = circle.iter().map(|&task| self.called(task)).collect();
        self.violations.push(FieldViolation::new(field, format!("{what}: {}", names.join(" -> "))));
    }

    fn called(&self, task: usize) -> String {
        match self.wanted[task].name.as_str() {
            "" => format!("tasks[{task}]"),
            name => name.to_owned(),
        }
    }
}

fn first_of_each_key(wanted: &[Wanted]) -> Vec<usize> {
    let mut first = HashMap::new();
    let keys = wanted.iter().map(|task| task.idempotency_key.as_str()).enumerate();
    keys.map(|(index, key)| if key.is_empty() { index } else { *first.entry(key).or_insert(index) }).collect()
}
