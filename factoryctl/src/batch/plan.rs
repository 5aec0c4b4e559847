//! From what is written to what is sent: names resolved, groups made into locks, defaults put in, and
//! every fault listed at once.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use factory_domain::{PathPattern, Slug};
use factory_proto::convert::spec_from_wire;
use factory_proto::v1;

use super::entry::{Entry, Name};
use super::file::{Document, Group};
use super::place::{self, Repositories};
use super::waves;

/// Tasks that one call can submit.
const MAX_TASKS: usize = 1000;
/// Before the number or id of a task that was submitted earlier.
const EARLIER: &str = "task:";

/// Where a batch is planned, and what was said about all of it.
#[derive(Debug)]
pub struct Settings<'a> {
    /// The options, which go before the file's defaults.
    pub options: Entry,
    /// What relative repositories are relative to.
    pub directory: &'a Path,
    pub idempotency_key: Option<&'a str>,
}

/// A task ready to be sent.
#[derive(Debug)]
pub struct Planned {
    /// Its id in the file, or its place there.
    pub name: String,
    /// Counted from 1: how many tasks deep it waits.
    pub wave: usize,
    pub phase: Option<Name>,
    pub task: v1::NewTask,
}

impl Planned {
    /// The one given, or the prompt's first line.
    pub fn title(&self) -> String {
        let Some(spec) = &self.task.spec else { return String::new() };
        let argv = spec.argv.join(" ");
        let texts = [spec.title.as_str(), spec.prompt.trim(), argv.as_str()];
        let text = texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        text.lines().next().unwrap_or_default().to_owned()
    }
}

#[derive(Debug)]
pub struct Batch {
    /// In the order of the file.
    pub tasks: Vec<Planned>,
    /// What the agents will not see.
    pub warnings: Vec<String>,
}

/// Every fault of the file, a line each.
pub fn plan(document: Document, settings: Settings<'_>) -> Result<Batch, Vec<String>> {
    let Document { mut defaults, mut tasks, parallel_groups } = document;
    let mut faults = faults_of_the_whole(&defaults, tasks.len());
    faults.extend(place::settle_directory(&mut defaults).err().map(|why| format!("defaults: {why}")));
    let index = Index::of(&tasks, &mut faults);
    for group in parallel_groups {
        share(group, &mut tasks, &index, &mut faults);
    }
    let base = settings.options.or(&defaults);
    let mut planner =
        Planner { base, index: &index, directory: settings.directory, repositories: Repositories::default() };
    let mut planned = Vec::with_capacity(tasks.len());
    for (at, entry) in tasks.into_iter().enumerate() {
        let label = label(at, entry.id.as_ref());
        match planner.plan(entry) {
            Ok(task) => planned.push(task),
            Err(whys) => faults.extend(whys.into_iter().map(|why| format!("{label}: {why}"))),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let after: Vec<_> = planned.iter().map(|task| task.after.clone()).collect();
    let names: Vec<_> = planned.iter().enumerate().map(|(at, task)| task.name(at)).collect();
    let waves = waves::waves(&after).map_err(|cycle| {
        let path: Vec<_> = cycle.iter().map(|at| names[*at].as_str()).collect();
        vec![format!("these tasks wait for each other: {}", path.join(" -> "))]
    })?;
    let keyed = |name: &str| settings.idempotency_key.map(|prefix| format!("{prefix}-{name}"));
    let finished = planned.into_iter().zip(names).zip(waves).map(|((task, name), wave)| Planned {
        wave,
        phase: task.phase,
        task: v1::NewTask { idempotency_key: keyed(&name).unwrap_or_default(), ..task.task },
        name,
    });
    Ok(Batch { tasks: finished.collect(), warnings: planner.repositories.warnings })
}

fn faults_of_the_whole(defaults: &Entry, count: usize) -> Vec<String> {
    let mut faults = Vec::new();
    if count == 0 {
        faults.push("tasks: there are none".to_owned());
    }
    if count > MAX_TASKS {
        faults.push(format!("tasks: {count} are more than the {MAX_TASKS} of one submit; split the file"));
    }
    if defaults.id.is_some() {
        faults.push("defaults: `id` belongs to one task".to_owned());
    }
    faults
}

/// How a task is named in a fault: by its place, and its id where it has one.
fn label(at: usize, id: Option<&Name>) -> String {
    id.map_or_else(|| format!("tasks[{at}]"), |id| format!("tasks[{at}] ({id})"))
}

/// Which task has which id.
struct Index(HashMap<Name, usize>);

impl Index {
    fn of(tasks: &[Entry], faults: &mut Vec<String>) -> Self {
        let mut index = HashMap::new();
        for (at, id) in tasks.iter().enumerate().filter_map(|(at, task)| Some((at, task.id.as_ref()?))) {
            if let Err(why) = Slug::parse(&id.0) {
                faults.push(format!("{}: id: {why}", label(at, Some(id))));
            }
            if let Some(first) = index.insert(id.clone(), at) {
                faults.push(format!("{}: tasks[{first}] has the same id", label(at, Some(id))));
            }
        }
        Self(index)
    }

    fn find(&self, name: &Name) -> Option<usize> {
        self.0.get(name).copied()
    }
}

/// Tasks of a group in each other's way hold what they share while they run: a path as a file, anything
/// else as a key. Where nothing is named, they run one at a time.
fn share(group: Group, tasks: &mut [Entry], index: &Index, faults: &mut Vec<String>) {
    let (paths, mut keys): (Vec<_>, Vec<_>) =
        group.shared_resources.into_iter().partition(|resource| is_path(resource));
    if paths.is_empty() && keys.is_empty() {
        keys.push(group.id.to_string());
    }
    for name in &group.tasks {
        let Some(at) = index.find(name) else {
            faults.push(format!("parallel_groups ({}): there is no task with the id `{name}`", group.id));
            continue;
        };
        if !group.conflict_free {
            add(&mut tasks[at].touches, &paths);
            add(&mut tasks[at].keys, &keys);
        }
    }
}

/// A resource with a slash, a wildcard or an extension, as files have them.
fn is_path(resource: &str) -> bool {
    resource.contains(['/', '*', '.']) && !resource.contains(' ') && PathPattern::parse(resource).is_ok()
}

fn add(list: &mut Option<Vec<String>>, more: &[String]) {
    if more.is_empty() {
        return;
    }
    let list = list.get_or_insert_default();
    let new: Vec<_> = more.iter().filter(|item| !list.contains(item)).cloned().collect();
    list.extend(new);
}

/// A task whose waves and key are not known yet.
struct Draft {
    id: Option<Name>,
    phase: Option<Name>,
    /// Places in the file.
    after: Vec<usize>,
    task: v1::NewTask,
}

impl Draft {
    fn name(&self, at: usize) -> String {
        self.id.as_ref().map_or_else(|| format!("#{}", at + 1), Name::to_string)
    }
}

struct Planner<'a> {
    base: Entry,
    index: &'a Index,
    directory: &'a Path,
    repositories: Repositories,
}

impl Planner<'_> {
    fn plan(&mut self, mut entry: Entry) -> Result<Draft, Vec<String>> {
        let mut whys = Vec::new();
        whys.extend(place::settle_directory(&mut entry).err());
        let mut entry = entry.or(&self.base);
        let (after, waits_for) = self.dependencies(entry.after.take().unwrap_or_default(), &mut whys);
        let parent = entry.parent.take().map(|name| self.reference(&name)).unwrap_or_default();
        let goes_on_from = entry.goes_on_from.take().map(|name| self.reference(&name));
        let on_failed = entry.on_failed_dependency.map(v1::DependencyPolicy::from).unwrap_or_default();
        let hold = entry.hold.unwrap_or_default();
        let (id, phase) = (entry.id.clone(), entry.phase.clone());
        let repo = self.repositories.of(&entry, self.directory);
        let repo = repo.map_err(|why| whys.push(why)).unwrap_or_default();
        let spec = entry.spec(repo);
        // A repository that was refused is the fault; that there is none then is not another.
        if whys.is_empty()
            && let Err(violations) = spec_from_wire(spec.clone())
        {
            whys.extend(violations.iter().map(|found| format!("{}: {}", found.field, found.why)));
        }
        if !whys.is_empty() {
            return Err(whys);
        }
        let task = v1::NewTask {
            spec: Some(spec),
            idempotency_key: String::new(),
            name: id.as_ref().map(Name::to_string).unwrap_or_default(),
            after: waits_for,
            on_failed_dependency: on_failed.into(),
            parent,
            goes_on_from: goes_on_from.unwrap_or_default(),
            hold,
        };
        Ok(Draft { id, phase, after, task })
    }

    /// Those of the file by their places, and all as they are sent.
    fn dependencies(&self, after: Vec<Name>, whys: &mut Vec<String>) -> (Vec<usize>, Vec<String>) {
        let (mut places, mut sent) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for name in after {
            if !seen.insert(name.clone()) {
                whys.push(format!("after: `{name}` is named twice"));
            } else if let Some(at) = self.index.find(&name) {
                places.push(at);
                sent.push(format!("@{name}"));
            } else if let Some(earlier) = name.0.strip_prefix(EARLIER) {
                sent.push(earlier.to_owned());
            } else {
                whys.push(format!(
                    "after: there is no task with the id `{name}` in the file; one submitted before is \
                     written `{EARLIER}42`"
                ));
            }
        }
        (places, sent)
    }

    /// A task of the file, or one that was submitted before.
    fn reference(&self, name: &Name) -> String {
        match self.index.find(name) {
            Some(_) => format!("@{name}"),
            None => name.0.trim_start_matches(EARLIER).to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(json: &str) -> Result<Batch, String> {
        let document: Document = serde_json::from_str(json).expect(json);
        let directory = tempfile::tempdir().expect("a directory");
        let options = Entry { no_repo: Some(true), project: Some("p".into()), ..Entry::default() };
        let settings = Settings { options, directory: directory.path(), idempotency_key: Some("k") };
        plan(document, settings).map_err(|faults| faults.join("\n"))
    }

    #[test]
    fn a_dag_becomes_waves_and_names() {
        let batch = planned(
            r#"{"defaults": {"priority": 3, "project": "q"}, "tasks": [
                {"id": 1, "name": "Schema"}, {"id": "b", "prompt": "x", "after": [1]},
                {"id": "c", "prompt": "x", "depends_on": [1, "task:42"], "project": "own"},
                {"id": "d", "prompt": "x", "after": ["b", "c"]}]}"#,
        )
        .expect("a plan");
        let waves: Vec<_> = batch.tasks.iter().map(|task| task.wave).collect();
        assert_eq!(waves, [1, 2, 2, 3]);
        let spec = |at: usize| batch.tasks[at].task.spec.clone().unwrap_or_default();
        assert_eq!(spec(0).prompt, "Implement: Schema");
        assert_eq!((spec(0).priority, spec(0).project.as_str()), (3, "p"), "options before defaults");
        assert_eq!(spec(2).project, "own", "what a task says of itself before both");
        assert_eq!(batch.tasks[2].task.after, ["@1", "42"]);
        assert_eq!(batch.tasks[3].task.idempotency_key, "k-d");
    }

    #[test]
    fn a_cycle_is_refused_with_its_path() {
        let faults = planned(
            r#"[{"id": "a", "task": "x", "after": ["c"]}, {"id": "b", "task": "x", "after": ["a"]},
                {"id": "c", "task": "x", "after": ["b"]}, {"id": "z", "task": "x", "after": ["c"]}]"#,
        )
        .expect_err("a cycle");
        assert_eq!(faults, "these tasks wait for each other: a -> c -> b -> a");
    }

    #[test]
    fn every_fault_is_listed_with_its_place() {
        let faults = planned(
            r#"{"tasks": [{"id": "a", "task": "x"}, {"id": "a", "task": "x"}, {"task": "x", "after": ["nope"]},
                {"id": "e", "task": "", "max_attempts": 0}],
                "parallel_groups": [{"id": "g", "tasks": ["a", "gone"]}]}"#,
        )
        .expect_err("faults");
        for fault in [
            "tasks[1] (a): tasks[0] has the same id",
            "tasks[2]: after: there is no task with the id `nope`",
            "tasks[3] (e): prompt: is empty",
            "tasks[3] (e): max_attempts: must lie between",
            "parallel_groups (g): there is no task with the id `gone`",
        ] {
            assert!(faults.contains(fault), "{fault} is not in:\n{faults}");
        }
    }

    #[test]
    fn a_group_that_is_not_free_of_conflicts_shares_keys_and_files() {
        let mut tasks: Vec<Entry> = serde_json::from_str(
            r#"[{"id": "a", "task": "x", "files": ["src/a.rs"]}, {"id": "b", "task": "x"}]"#,
        )
        .expect("tasks");
        let index = Index::of(&tasks, &mut Vec::new());
        let group = |json: &str| serde_json::from_str::<Group>(json).expect(json);
        let mut faults = Vec::new();
        let shares = r#"{"id": "g", "tasks": ["a", "b"], "conflict_free": false,
                         "shared_resources": ["Cargo.lock", "the database"]}"#;
        share(group(shares), &mut tasks, &index, &mut faults);
        share(
            group(r#"{"id": "h", "tasks": ["b"], "conflict_free": false}"#),
            &mut tasks,
            &index,
            &mut faults,
        );
        share(group(r#"{"id": "i", "tasks": ["b"]}"#), &mut tasks, &index, &mut faults);
        let named = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(tasks[0].touches, named(&["src/a.rs", "Cargo.lock"]));
        assert_eq!(tasks[0].keys, named(&["the database"]));
        assert_eq!(tasks[1].keys, named(&["the database", "h"]));
        assert!(faults.is_empty(), "{faults:?}");
    }
}
