//! A graph of tasks with random dependencies and files, over four workers, while the coordinator and the
//! workers are killed and started again: the order holds, no two tasks hold a file at once, every task
//! is done, and each has in its branch what it waited for.
//!
//! A small one is a test like any other. The large one takes minutes:
//!
//! ```sh
//! DAG_SEED=7 cargo test -p factory-tests --test chaos -- --ignored --nocapture two_hundred
//! ```

use std::collections::{BTreeMap, HashMap, HashSet};

use factory_proto::client::Client;
use factory_proto::v1::{Event, NewTask, SubmitRequest, TaskSpec, TaskState};
use factory_tests::harness::coordinator::Coordinator;
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::repository::Origin;
use factory_tests::harness::task;
use factory_tests::harness::worker::{Worker, WorkerSetup};
use fastrand::Rng;
use futures_util::future::join_all;

const WORKERS: usize = 4;
const SLOTS: u32 = 2;
/// Tasks wait for some of so many before them.
const REACH: usize = 16;
/// Folders of files that tasks hold.
const AREAS: usize = 6;

/// A task to be: whom it waits for, by place, and what it holds.
struct Node {
    after: Vec<usize>,
    touches: Vec<Held>,
}

/// A file of a folder, or all of it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Held {
    area: usize,
    file: Option<usize>,
}

impl Held {
    fn random(rng: &mut Rng) -> Self {
        Self { area: rng.usize(..AREAS), file: (rng.u8(..4) > 0).then(|| rng.usize(..3)) }
    }

    fn overlaps(self, other: Self) -> bool {
        self.area == other.area && (self.file.is_none() || other.file.is_none() || self.file == other.file)
    }

    fn pattern(self) -> String {
        match self.file {
            Some(file) => format!("area-{}/file-{file}.txt", self.area),
            None => format!("area-{}/**", self.area),
        }
    }
}

fn graph(rng: &mut Rng, tasks: usize) -> Vec<Node> {
    let node = |at: usize| {
        let mut after: Vec<usize> = (at.saturating_sub(REACH)..at).collect();
        rng.shuffle(&mut after);
        after.truncate(rng.usize(..4));
        Node { after, touches: (0..rng.usize(..3)).map(|_| Held::random(rng)).collect() }
    };
    (0..tasks).map(node).collect()
}

/// Each adds a file of its own, so that all merge.
fn new_task(node: &Node, at: usize, origin: &Origin) -> NewTask {
    NewTask {
        spec: Some(TaskSpec {
            title: format!("Task {at}"),
            prompt: format!("write task-{at}.txt done\ncommit Do {at}"),
            agent: "scripted".to_owned(),
            repo: origin.source(),
            touches: node.touches.iter().map(|held| held.pattern()).collect(),
            ..TaskSpec::default()
        }),
        name: format!("task-{at}"),
        after: node.after.iter().map(|needs| format!("@task-{needs}")).collect(),
        ..NewTask::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_tasks_keep_their_order_and_their_files_through_kills() {
    prove(5, 40, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; run by command, see the module's words"]
async fn two_hundred_tasks_keep_their_order_and_their_files_through_kills() {
    let seed = std::env::var("DAG_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    prove(seed, 200, 8).await;
}

/// Kills something whenever another `every` tasks have ended.
async fn prove(seed: u64, tasks: usize, every: usize) {
    println!("a graph of {tasks} tasks by seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let nodes = graph(&mut rng, tasks);
    let host = Host::new();
    let origin = Origin::new(&host, "app");
    let mut coordinator = Coordinator::start(&host).await;
    let names: Vec<String> = (1..=WORKERS).map(|number| format!("worker-{number}")).collect();
    let workers =
        names.iter().map(|name| Worker::start(&host, &coordinator, WorkerSetup::named(name, SLOTS)));
    let mut workers = join_all(workers).await;

    let mut client = coordinator.client().await;
    let new = nodes.iter().enumerate().map(|(at, node)| new_task(node, at, &origin));
    let request = client.request(SubmitRequest { tasks: new.collect() });
    let submitted = client.tasks().submit(request).await.expect("accepted").into_inner().tasks;
    let ids: Vec<String> = submitted.into_iter().map(|task| task.id).collect();

    let mut ended = HashSet::new();
    while ended.len() < tasks {
        let mut feed = Feed::from_start(&client).await;
        for _ in 0..every.min(tasks - ended.len()) {
            let another = |event: &Event| event.state().is_terminal() && !ended.contains(&event.task_id);
            let end = feed.wait_for("another task to end", another).await;
            ended.insert(end.task_id);
        }
        drop(feed);
        let victim = rng.usize(..=WORKERS);
        let with_coordinator = rng.bool() || victim == WORKERS;
        if let Some(worker) = workers.get_mut(victim) {
            worker.kill9().await;
        }
        if with_coordinator {
            coordinator.kill9().await;
            coordinator.start_again().await;
        }
        if let Some(worker) = workers.get_mut(victim) {
            worker.start_again().await;
        }
        client = coordinator.client().await;
    }

    let mut feed = Feed::from_start(&client).await;
    for id in &ids {
        feed.wait_for_end(id).await;
    }
    let places: HashMap<&str, usize> = ids.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
    assert_order_and_files(&feed, &nodes, &places);
    assert_branches_hold_what_was_waited_for(&client, &nodes, &ids, &origin).await;
}

/// By the feed, in which every offer and every end stands in its order.
fn assert_order_and_files(feed: &Feed, nodes: &[Node], places: &HashMap<&str, usize>) {
    let mut succeeded = HashSet::new();
    let mut holders: BTreeMap<String, usize> = BTreeMap::new();
    for event in feed.seen() {
        let at = places[event.task_id.as_str()];
        match event.kind.as_str() {
            "offered" => {
                let missing = nodes[at].after.iter().find(|needs| !succeeded.contains(*needs));
                assert_eq!(missing, None, "task {at} did not wait:{}", feed.story());
                for &other in holders.values() {
                    let both = |mine: &Held| nodes[other].touches.iter().any(|its| mine.overlaps(*its));
                    assert!(!nodes[at].touches.iter().any(both), "{at} and {other} share:{}", feed.story());
                }
                holders.insert(event.attempt_id.clone(), at);
            }
            "ended" | "returned" | "lost" => drop(holders.remove(&event.attempt_id)),
            _ => {}
        }
        if event.state() == TaskState::Succeeded {
            succeeded.insert(at);
        }
    }
    assert_eq!(succeeded.len(), nodes.len(), "not every task was done:{}", feed.story());
}

async fn assert_branches_hold_what_was_waited_for(
    client: &Client,
    nodes: &[Node],
    ids: &[String],
    origin: &Origin,
) {
    let mut work = Vec::new();
    for id in ids {
        let report = task::report(client, id).await;
        assert_eq!(report.commits.len(), 1, "what it merged is not its own: {:?}", report.commits);
        work.push((report.branch, report.commits[0].id.clone()));
    }
    for (node, (branch, _)) in nodes.iter().zip(&work) {
        for needs in &node.after {
            origin.git(["merge-base", "--is-ancestor", &work[*needs].1, branch]);
        }
    }
}
