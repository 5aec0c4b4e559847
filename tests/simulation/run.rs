//! One seed, from its plan to the audit.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::audit::Rest;
use crate::plan::{FAULTS_UNTIL, Fault, Plan};
use crate::rows::Rows;
use crate::sealed;
use crate::store::outside;
use crate::world::World;

/// How long after the last fault everything may take to come to its end.
const RUN_OUT: Duration = Duration::from_secs(240);
/// How often the rows are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// What came of a seed.
pub struct Run {
    /// Broken promises, a sentence each.
    pub broken: Vec<String>,
    /// The event feed, for people and to tell two runs apart.
    pub story: String,
    pub took: Duration,
}

/// Runs on a thread of its own, which is sealed before it does anything.
pub fn run(plan: &Plan) -> Run {
    let host = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let host = host.expect("a runtime");
    // Its thread draws at its start, from what a run counts, too: before the run begins.
    outside(host.handle(), async {});
    let root = tempfile::Builder::new().prefix("simulation-").tempdir_in(memory()).expect("a directory");
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            sealed::seal(plan.seed);
            simulate(plan, root.path(), &host)
        });
        running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The simulated disks lie in memory, where there is such a place: thousands of seeds wait for no sync.
fn memory() -> std::path::PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

fn simulate(plan: &Plan, root: &Path, host: &Runtime) -> Run {
    let mut world = World::new(plan, root, host.handle());
    let broken = match live(plan, &mut world, host) {
        Ok(()) => Rest::read(&world, host.handle()).look(plan, &world, host.handle()),
        Err(broken) => broken,
    };
    let story =
        if world.database.exists() { tell(&Rest::read(&world, host.handle())) } else { String::new() };
    Run { broken, story, took: world.elapsed() }
}

/// Until everything has come to its end, or a promise is broken.
fn live(plan: &Plan, world: &mut World, host: &Runtime) -> Result<(), Vec<String>> {
    let mut begins: Vec<&Fault> = plan.faults.iter().collect();
    let mut ends = begins.clone();
    begins.sort_by_key(|fault| fault.at);
    ends.sort_by_key(|fault| fault.at + fault.lasts);
    let (mut begins, mut ends) = (begins.into_iter().peekable(), ends.into_iter().peekable());
    let (mut next_look, mut repaired) = (LOOK, false);
    loop {
        let now = world.elapsed();
        while let Some(fault) = begins.next_if(|fault| fault.at <= now) {
            world.begin(fault);
        }
        while let Some(fault) = ends.next_if(|fault| fault.at + fault.lasts <= now) {
            world.end(fault);
        }
        if !repaired && now >= FAULTS_UNTIL {
            world.repair_network();
            repaired = true;
        }
        let user_is_done = world.step().map_err(|broken| vec![broken])?;
        look_at_agents(world)?;
        if now < next_look {
            continue;
        }
        next_look += LOOK;
        let unfinished = look_at_rows(world, host)?;
        if !repaired || !user_is_done {
            if now > FAULTS_UNTIL + RUN_OUT {
                return Err(vec!["the user was not answered".to_owned()]);
            }
            continue;
        }
        let spools = spools(world);
        if unfinished.is_empty() && spools.is_empty() {
            return Ok(());
        }
        if now > FAULTS_UNTIL + RUN_OUT {
            let what = |text: &String| format!("{text} {RUN_OUT:?} after the last fault");
            return Err(unfinished.iter().chain(&spools).map(what).collect());
        }
    }
}

/// No task has two agents alive.
fn look_at_agents(world: &World) -> Result<(), Vec<String>> {
    let mut alive: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for host in &world.hosts {
        for (task, attempt) in host.alive() {
            alive.entry(task).or_default().push(format!("{attempt} on {}", host.name));
        }
    }
    let doubles: Vec<_> = alive
        .into_iter()
        .filter(|(_, agents)| agents.len() > 1)
        .map(|(task, agents)| {
            format!("at {:?} task {task} has two agents: {}", world.elapsed(), agents.join(", "))
        })
        .collect();
    if doubles.is_empty() { Ok(()) } else { Err(doubles) }
}

/// Tasks that have not ended; an error where a row says what must never be.
fn look_at_rows(world: &World, host: &Runtime) -> Result<Vec<String>, Vec<String>> {
    let database = world.database.clone();
    if !database.exists() {
        return Ok(Vec::new());
    }
    let looked = outside(host.handle(), async move {
        let mut rows = Rows::open(&database).await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((rows.doubles().await?, rows.unfinished().await?))
    });
    match looked {
        Ok((doubles, unfinished)) if doubles.is_empty() => Ok(unfinished),
        Ok((doubles, _)) => Err(doubles),
        // Before the first migration.
        Err(error) if error.to_string().contains("no such table") => Ok(Vec::new()),
        Err(error) => Err(vec![format!("the rows cannot be read: {error}")]),
    }
}

/// Attempts that some worker has not done with.
fn spools(world: &World) -> Vec<String> {
    let of_host = |root: &Path| {
        let entries = std::fs::read_dir(root.join("spool")).into_iter().flatten().flatten();
        entries.map(|entry| format!("{} is left", entry.path().display())).collect::<Vec<_>>()
    };
    world.hosts.iter().flat_map(|host| of_host(&host.root)).collect()
}

fn tell(rest: &Rest) -> String {
    let mut story = String::new();
    for row in &rest.events {
        let event = row.event.as_ref().map_or_else(|| "submitted".to_owned(), |event| format!("{event:?}"));
        let key = rest.tasks.iter().find(|task| task.id == row.task).map_or("?", |task| task.key.as_str());
        let at = row.at.as_millis() - i64::try_from(sealed::EPOCH_SECONDS * 1000).unwrap_or_default();
        writeln!(story, "{at:>7} {key}: {event} → {}", row.state.name()).expect("a string takes it");
    }
    story
}
