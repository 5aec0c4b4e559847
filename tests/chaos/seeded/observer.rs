//! Looks at the processes that are there, whatever anyone says about them: all through a storm.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use factory_tests::harness::processes;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Between two looks; a look takes some milliseconds.
const PAUSE: Duration = Duration::from_millis(100);

/// Tasks, each with those of its attempts whose agents have a process.
type Alive = BTreeMap<String, BTreeSet<String>>;

pub struct Observer {
    token: CancellationToken,
    looking: JoinHandle<Seen>,
}

/// What was seen.
#[derive(Default)]
pub struct Seen {
    pub looks: u64,
    /// Tasks with agents of two attempts alive at the same time, a sentence each.
    pub twice: BTreeSet<String>,
}

impl Observer {
    /// Watches everything that runs with `folder` in its environment.
    pub fn of(folder: &Path) -> Self {
        let (token, folder) = (CancellationToken::new(), folder.to_owned());
        let ending = token.clone();
        // A thread of its own: a look blocks.
        let looking = tokio::task::spawn_blocking(move || watch(&folder, &ending));
        Self { token, looking }
    }

    pub async fn end(self) -> Seen {
        self.token.cancel();
        self.looking.await.expect("it looks without panicking")
    }
}

fn watch(folder: &Path, ending: &CancellationToken) -> Seen {
    let mut seen = Seen::default();
    while !ending.is_cancelled() {
        seen.looks += 1;
        let doubled = twice(&processes::of_agents_in(folder));
        if !doubled.is_empty() {
            // Reading them all takes a while: only those count that are there still.
            let again = twice(&processes::of_agents_in(folder));
            seen.twice.extend(doubled.intersection(&again).cloned());
        }
        #[expect(clippy::disallowed_methods, reason = "the time between two looks is what passes")]
        std::thread::sleep(PAUSE);
    }
    seen
}

fn twice(alive: &Alive) -> BTreeSet<String> {
    let doubled = alive.iter().filter(|(_, attempts)| attempts.len() > 1);
    doubled.map(|(task, attempts)| format!("task {task}: agents of {attempts:?} are alive")).collect()
}
