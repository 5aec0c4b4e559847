//! The coordinator's use cases, one a file: what is asked for, what the store and
//! the log store are told, what follows. No SQL, no wire service and no HTTP here.

mod acting;
mod alarm;
mod answer;
mod artifacts;
mod ask;
mod brief;
mod cancel;
mod checkpoint;
mod children;
mod disk;
mod dispatch;
mod drain;
mod effects;
mod equip;
mod error;
mod fleet;
mod follow_log;
mod follow_messages;
mod get;
mod handoff;
mod heartbeat;
mod library;
mod links;
mod list;
mod lock_files;
mod log_fences;
mod memory;
mod messages;
mod once;
mod page;
mod post_message;
mod pruned;
mod push_logs;
mod read_log;
mod read_task_log;
mod related;
mod release;
mod report;
mod repos;
mod retry;
mod running;
mod session;
mod sessions;
mod standing;
mod stats;
mod submit;
mod upstreams;
mod watch;
mod workers;
mod workflow;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use factory_domain::LeaseTerms;
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use acting::Acting;
pub use answer::QuestionsRequest;
pub use artifacts::{ArtifactContent, ArtifactName};
pub use checkpoint::OpenCheckpoint;
pub use disk::{Change, Room};
pub use drain::Drain;
pub use equip::Offered;
pub use error::{Error, FieldViolation};
pub use fleet::{HostLoad, Outbox, ToWorker};
pub use follow_log::LogFollower;
pub use get::{AttemptDetail, TaskDetail};
pub use handoff::{HandoffsRequest, WantedHandoff};
pub use heartbeat::Beat;
pub use list::ListRequest;
pub use lock_files::Locked;
pub use memory::{Learned, MemoryListRequest, MemoryQuery, SummedUp};
pub use messages::{MessagesRequest, Reading};
pub use once::Once;
pub use post_message::WantedMessage;
pub use pruned::sentence as why_removed;
pub use push_logs::LogBatch;
pub use read_log::LogPlace;
pub use read_task_log::TaskLogPlace;
pub use related::Related;
pub use report::ReportVerdict;
pub use repos::{
    CopyView, JobError, RepoJob, RepoJobFailure, RepoJobOutcome, RepoTask, RepoView, WantedRepo,
    WantedWorktree, WhichWorktree, WorktreeView, WorktreesRequest,
};
pub use running::RunningAgent;
pub use session::{Answer, Hello, OpenSession, Welcome};
pub use sessions::{ReportedBack, WantedDispatch};
pub use standing::cancelled_because;
pub use stats::Stats;
pub use submit::Wanted;
pub use workers::{DrainState, WorkerDetail, WorkerView};
pub use workflow::{StepDetail, WantedWorkflow, WorkflowDetail, WorkflowsRequest};

use crate::artifacts::ArtifactStore;
use crate::clock::Clock;
use crate::embeddings::Embedder;
use crate::library::Library;
use crate::logs::LogStore;
use crate::store::{Rules, Store};
use alarm::Alarm;
use disk::Disk;
use fleet::Fleet;
use log_fences::LogFences;
use repos::Jobs;
pub(crate) use repos::RepoBook;
use workflow::Going;

/// What every use case works with. The stores hold the truth; the rest of it is
/// hints that a restart rebuilds.
pub struct App {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) logs: LogStore,
    pub(crate) artifacts: ArtifactStore,
    pub(crate) library: Library,
    pub(crate) clock: Clock,
    pub(crate) terms: LeaseTerms,
    /// Failures that are not the agent's, before a task fails.
    pub(crate) max_infrastructure_failures: u32,
    pub(crate) fleet: Fleet,
    pub(crate) repos: RepoBook,
    /// What workers were asked to do about repositories, and who waits for it.
    pub(crate) jobs: Jobs,
    pub(crate) fences: LogFences,
    /// There may be something to lease, or someone to lease it to.
    pub(crate) schedule: Notify,
    /// There may be a workflow that can go on.
    pub(crate) workflows: Going,
    /// There may be something in an agent's inbox: wakes all who wait for that.
    pub(crate) told: Notify,
    /// Files that agents at work wait for may be free: wakes all who do.
    pub(crate) freed: Notify,
    /// Makes vectors of queries, where memories are found by meaning too.
    pub(crate) embedder: Option<Arc<Embedder>>,
    /// There are memories that may lack a vector.
    pub(crate) remembered: Notify,
    /// A heartbeat was answered though the leases could not be extended: see `App::heartbeat`.
    pub(crate) owed: AtomicBool,
    pub(crate) disk: Disk,
    /// When the store next has something due.
    pub(crate) due: Alarm,
    /// Held while the store and the fleet learn of a drain, so that both learn the same last.
    pub(crate) drains: Mutex<()>,
    /// Ends every loop and stream.
    pub(crate) stopping: CancellationToken,
    /// Owns the tasks that serve open sessions.
    pub(crate) tasks: TaskTracker,
}

impl App {
    pub fn new(
        store: Arc<dyn Store>,
        logs: LogStore,
        artifacts: ArtifactStore,
        library: Library,
        clock: Clock,
        rules: Rules,
        stopping: CancellationToken,
    ) -> Self {
        Self {
            store,
            logs,
            artifacts,
            library,
            clock,
            terms: rules.terms,
            max_infrastructure_failures: rules.max_infrastructure_failures,
            fleet: Fleet::default(),
            repos: RepoBook::default(),
            jobs: Jobs::default(),
            fences: LogFences::default(),
            schedule: Notify::new(),
            workflows: Going::default(),
            told: Notify::new(),
            freed: Notify::new(),
            embedder: None,
            remembered: Notify::new(),
            owed: AtomicBool::new(false),
            disk: Disk::default(),
            due: Alarm::default(),
            drains: Mutex::default(),
            stopping,
            tasks: TaskTracker::new(),
        }
    }

    /// Where the event feed is now: read before anything else, so that what happens meanwhile is seen twice
    /// rather than not at all.
    pub fn cursor(&self) -> u64 {
        *self.store.feed().borrow()
    }
}
