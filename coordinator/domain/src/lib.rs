//! The factory's rules, and nothing else.
//!
//! This crate knows what a task is, which states it can be in, which events
//! move it, when it is tried again and who may be given it. It has no clock,
//! no network and no disk: time comes in as a [`Timestamp`], and what must be
//! done about a decision goes out as [`Effect`]s. The store applies a decision
//! in one transaction; the coordinator acts on the effects after the commit.

pub mod admission;
pub mod affinity;
pub mod agent;
pub mod attempt;
pub mod board;
pub mod brief;
pub mod checkpoint;
pub mod continuation;
pub mod dependency;
pub mod draft;
pub mod family;
pub mod file_lock;
pub mod id;
pub mod label;
pub mod lease;
pub mod limits;
pub mod links;
pub mod memory;
pub mod progress;
pub mod question;
pub mod refname;
pub mod repo;
pub mod repo_names;
pub mod retention;
pub mod retry;
pub mod schedule;
pub mod slug;
pub mod spec;
pub mod task;
pub mod time;
pub mod transition;
pub mod workflow;

pub use admission::{Board, Holding, Needs, Obstacle, Wish};
pub use affinity::Preference;
pub use agent::AgentKind;
pub use attempt::{AttemptState, Commit, Delivery, DiffStat, Report, Usage};
pub use board::{MessageType, Recipient};
pub use brief::{Brief, Notice, NoticeKind, Notices, Upstream};
pub use checkpoint::{Checkpoint, Snapshot};
pub use continuation::{Continuation, Conversation, Past, continuation};
pub use dependency::{Dependency, Settled};
pub use draft::{SpecDraft, Violation};
pub use file_lock::PathPattern;
pub use id::{
    AttemptId, HandoffId, MemoryId, MessageId, QuestionId, SessionId, TaskId, WorkerId, WorkflowId,
};
pub use label::Labels;
pub use lease::{Contact, Lease, LeaseTerms};
pub use limits::{Limit, Limits, Running};
pub use links::{DependencyPolicy, Links};
pub use memory::{Memory, MemoryDraft, MemoryKind, Scope};
pub use progress::Progress;
pub use question::{Question, QuestionState};
pub use refname::{BranchName, RevisionName};
pub use repo::RepoSource;
pub use repo_names::{NamedRepo, RepoNames, UnknownRepo};
pub use retention::{Because, Keep, Left, Retention, Worth};
pub use retry::{Backoff, LONGEST_USAGE_LIMIT, MAX_USAGE_LIMITS, RetryPolicy, Tally};
pub use schedule::{Capacity, Class, Requirements};
pub use slug::Slug;
pub use spec::{ConflictPolicy, Deliver, Leftovers, PermissionMode, TaskSpec};
pub use task::{CancelReason, Event, Failure, FailureReason, Outcome, ParkReason, ReturnReason, TaskState};
pub use time::Timestamp;
pub use transition::{Decision, Effect, Rejected, Standing, Waits, transition};
