//! Between the wire and the domain, in one place. Inward conversions check;
//! outward ones cannot fail.

mod board;
mod brief;
mod checkpoint;
mod links;
mod memory;

use std::time::Duration;

use factory_domain::{
    AttemptId, Commit, ConflictPolicy, Deliver, Delivery, DiffStat, Failure, Leftovers, Outcome,
    PermissionMode, Report, SessionId, SpecDraft, TaskId, TaskSpec, TaskState, Timestamp, Usage, Violation,
    WorkerId,
};

use crate::v1;

pub use board::message_types;
pub use brief::{brief_from_wire, brief_to_wire, notice_from_wire};
pub use memory::memory_kinds;

/// A message that does not say what it must.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    #[error("missing field `{0}`")]
    Missing(&'static str),
    #[error("field `{field}`: {why}")]
    Invalid { field: &'static str, why: String },
}

impl InvalidMessage {
    pub fn invalid(field: &'static str, why: impl ToString) -> Self {
        Self::Invalid { field, why: why.to_string() }
    }
}

/// Reads an id that must be there.
pub fn task_id(text: &str) -> Result<TaskId, InvalidMessage> {
    read_id("task_id", text)
}

pub fn attempt_id(text: &str) -> Result<AttemptId, InvalidMessage> {
    read_id("attempt_id", text)
}

pub fn worker_id(text: &str) -> Result<WorkerId, InvalidMessage> {
    read_id("worker_id", text)
}

pub fn session_id(text: &str) -> Result<SessionId, InvalidMessage> {
    read_id("session_id", text)
}

fn read_id<T>(field: &'static str, text: &str) -> Result<T, InvalidMessage>
where
    T: std::str::FromStr<Err: ToString>,
{
    if text.is_empty() {
        return Err(InvalidMessage::Missing(field));
    }
    text.parse().map_err(|error: T::Err| InvalidMessage::invalid(field, error.to_string()))
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Reads and checks a spec; the violations name fields as the wire does.
pub fn spec_from_wire(spec: v1::TaskSpec) -> Result<TaskSpec, Vec<Violation>> {
    let (deliver, leftovers) = (spec.deliver(), spec.leftovers());
    let (permission_mode, on_conflict) = (spec.permission_mode(), spec.on_conflict());
    let mut labels: Vec<_> = spec.labels.into_iter().collect();
    labels.sort();
    SpecDraft {
        title: spec.title,
        prompt: spec.prompt,
        agent: spec.agent,
        argv: spec.argv,
        model: spec.model,
        repo: spec.repo,
        base: spec.base,
        branch: spec.branch,
        deliver: match deliver {
            v1::Deliver::Unspecified | v1::Deliver::Branch => Deliver::Branch,
            v1::Deliver::None => Deliver::None,
        },
        leftovers: match leftovers {
            v1::Leftovers::Unspecified | v1::Leftovers::Commit => Leftovers::Commit,
            v1::Leftovers::Keep => Leftovers::Keep,
            v1::Leftovers::Discard => Leftovers::Discard,
        },
        setup: spec.setup,
        setup_timeout: spec.setup_timeout_ms.map(Duration::from_millis),
        trust_repo: spec.trust_repo,
        labels,
        priority: spec.priority,
        max_attempts: spec.max_attempts,
        timeout: spec.timeout_ms.map(Duration::from_millis),
        idle_timeout: spec.idle_timeout_ms.map(Duration::from_millis),
        budget_micro_usd: spec.budget_micro_usd,
        budget_tokens: spec.budget_tokens,
        max_turns: spec.max_turns,
        role: spec.role,
        task_type: spec.r#type,
        acceptance: spec.acceptance,
        directory: spec.directory,
        touches: spec.touches,
        keys: spec.keys,
        issue: spec.issue,
        project: spec.project,
        submitter: spec.submitter,
        allowed_tools: spec.allowed_tools,
        disallowed_tools: spec.disallowed_tools,
        permission_mode: match permission_mode {
            v1::PermissionMode::Unspecified => None,
            v1::PermissionMode::Bypass => Some(PermissionMode::Bypass),
            v1::PermissionMode::AcceptEdits => Some(PermissionMode::AcceptEdits),
            v1::PermissionMode::Plan => Some(PermissionMode::Plan),
        },
        output_schema: spec.output_schema,
        on_conflict: match on_conflict {
            v1::ConflictPolicy::Unspecified | v1::ConflictPolicy::Fail => ConflictPolicy::Fail,
            v1::ConflictPolicy::Agent => ConflictPolicy::Agent,
        },
        keep_session: spec.keep_session,
        session: spec.session,
    }
    .validate()
}

impl From<TaskSpec> for v1::TaskSpec {
    fn from(spec: TaskSpec) -> Self {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self {
            title: spec.title,
            prompt: spec.prompt,
            agent: spec.agent.to_string(),
            argv: spec.argv,
            model: spec.model.unwrap_or_default(),
            repo: spec.repo.map(String::from).unwrap_or_default(),
            base: spec.base.map(String::from).unwrap_or_default(),
            branch: spec.branch.map(String::from).unwrap_or_default(),
            deliver: match spec.deliver {
                Deliver::Branch => v1::Deliver::Branch,
                Deliver::None => v1::Deliver::None,
            }
            .into(),
            leftovers: match spec.leftovers {
                Leftovers::Commit => v1::Leftovers::Commit,
                Leftovers::Keep => v1::Leftovers::Keep,
                Leftovers::Discard => v1::Leftovers::Discard,
            }
            .into(),
            setup: spec.setup.unwrap_or_default(),
            setup_timeout_ms: Some(millis(spec.setup_timeout)),
            trust_repo: spec.trust_repo,
            labels: spec.labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            priority: spec.priority,
            max_attempts: Some(spec.max_attempts),
            timeout_ms: spec.timeout.map(millis),
            idle_timeout_ms: spec.idle_timeout.map(millis),
            budget_micro_usd: spec.budget_micro_usd,
            budget_tokens: spec.budget_tokens,
            max_turns: spec.max_turns,
            role: spec.role.map(String::from).unwrap_or_default(),
            r#type: spec.task_type.map(String::from).unwrap_or_default(),
            acceptance: spec.acceptance.unwrap_or_default(),
            directory: spec.directory.unwrap_or_default(),
            touches: spec.touches.into_iter().map(String::from).collect(),
            keys: spec.keys,
            issue: spec.issue.unwrap_or_default(),
            project: spec.project.unwrap_or_default(),
            submitter: spec.submitter.unwrap_or_default(),
            allowed_tools: spec.allowed_tools,
            disallowed_tools: spec.disallowed_tools,
            permission_mode: match spec.permission_mode {
                None => v1::PermissionMode::Unspecified,
                Some(PermissionMode::Bypass) => v1::PermissionMode::Bypass,
                Some(PermissionMode::AcceptEdits) => v1::PermissionMode::AcceptEdits,
                Some(PermissionMode::Plan) => v1::PermissionMode::Plan,
            }
            .into(),
            output_schema: spec.output_schema.unwrap_or_default(),
            on_conflict: match spec.on_conflict {
                ConflictPolicy::Fail => v1::ConflictPolicy::Fail,
                ConflictPolicy::Agent => v1::ConflictPolicy::Agent,
            }
            .into(),
            keep_session: spec.keep_session,
            session: spec.session.unwrap_or_default(),
        }
    }
}

impl From<&TaskState> for v1::TaskState {
    fn from(state: &TaskState) -> Self {
        match state {
            TaskState::Blocked => Self::Blocked,
            TaskState::Queued => Self::Queued,
            TaskState::Leased { .. } => Self::Leased,
            TaskState::Running { .. } => Self::Running,
            TaskState::Cancelling { .. } => Self::Cancelling,
            TaskState::Parked { .. } => Self::Parked,
            TaskState::Succeeded { .. } => Self::Succeeded,
            TaskState::Failed { .. } => Self::Failed,
            TaskState::Waiting => Self::Waiting,
            TaskState::Cancelled { .. } => Self::Cancelled,
        }
    }
}

impl v1::TaskState {
    /// The name people use, as in [`TaskState::NAMES`]; empty when unspecified.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "",
            Self::Queued => "queued",
            Self::Leased => "leased",
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Parked => "parked",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Blocked => "blocked",
            Self::Waiting => "waiting",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        (1..=10).filter_map(|n| Self::try_from(n).ok()).find(|state| state.name() == name)
    }

    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// The failure that a state carries, where it carries one.
pub fn failure_of(state: &TaskState) -> Option<v1::Failure> {
    match state {
        TaskState::Failed { failure, .. } => Some(failure.clone().into()),
        TaskState::Parked { why, .. } => Some(why.failure().clone().into()),
        _ => None,
    }
}

impl From<Failure> for v1::Failure {
    fn from(failure: Failure) -> Self {
        Self { reason: failure.reason.to_string(), message: failure.message }
    }
}

impl TryFrom<v1::Failure> for Failure {
    type Error = InvalidMessage;

    fn try_from(failure: v1::Failure) -> Result<Self, InvalidMessage> {
        let reason =
            failure.reason.parse().map_err(|error| InvalidMessage::invalid("failure.reason", error))?;
        Ok(Self { reason, message: failure.message })
    }
}

impl From<Report> for v1::Report {
    fn from(report: Report) -> Self {
        let (outcome, failure, until) = match report.outcome {
            Outcome::Succeeded => (v1::OutcomeKind::Succeeded, None, None),
            Outcome::Failed { failure } => (v1::OutcomeKind::Failed, Some(failure), None),
            Outcome::Limited { failure, until } => (v1::OutcomeKind::Failed, Some(failure), Some(until)),
            Outcome::Cancelled => (v1::OutcomeKind::Cancelled, None, None),
            Outcome::HandedOver => (v1::OutcomeKind::HandedOver, None, None),
            Outcome::Asked => (v1::OutcomeKind::Asked, None, None),
        };
        Self {
            outcome: outcome.into(),
            failure: failure.map(Into::into),
            result_text: report.result_text,
            usage: Some(report.usage.into()),
            agent_session: report.agent_session.unwrap_or_default(),
            exit_code: report.exit_code,
            base_commit: report.base_commit.unwrap_or_default(),
            branch: report.branch.map(String::from).unwrap_or_default(),
            commits: report
                .commits
                .into_iter()
                .map(|commit| v1::Commit { id: commit.id, subject: commit.subject })
                .collect(),
            diff_stat: Some(v1::DiffStat {
                files: report.diff_stat.files,
                insertions: report.diff_stat.insertions,
                deletions: report.diff_stat.deletions,
            }),
            delivery: Some(match report.delivery {
                Delivery::None => v1::Delivery { kind: v1::DeliveryKind::None.into(), why: String::new() },
                Delivery::Pushed => {
                    v1::Delivery { kind: v1::DeliveryKind::Pushed.into(), why: String::new() }
                }
                Delivery::Bundled { why } => v1::Delivery { kind: v1::DeliveryKind::Bundled.into(), why },
            }),
            log_records: report.log_records,
            limited_until_ms: until.map(Timestamp::as_millis),
            structured_output: report.structured_output.unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::Report> for Report {
    type Error = InvalidMessage;

    fn try_from(report: v1::Report) -> Result<Self, InvalidMessage> {
        let outcome = match report.outcome() {
            v1::OutcomeKind::Unspecified => return Err(InvalidMessage::Missing("report.outcome")),
            v1::OutcomeKind::Succeeded => Outcome::Succeeded,
            v1::OutcomeKind::Cancelled => Outcome::Cancelled,
            v1::OutcomeKind::HandedOver => Outcome::HandedOver,
            v1::OutcomeKind::Asked => Outcome::Asked,
            v1::OutcomeKind::Failed => {
                let failure = report.failure.ok_or(InvalidMessage::Missing("report.failure"))?.try_into()?;
                match report.limited_until_ms.map(Timestamp::from_millis) {
                    Some(until) => Outcome::Limited { failure, until },
                    None => Outcome::Failed { failure },
                }
            }
        };
        let branch = some(report.branch)
            .map(TryInto::try_into)
            .transpose()
            .map_err(|error| InvalidMessage::invalid("report.branch", error))?;
        let delivery = report.delivery.unwrap_or_default();
        let stat = report.diff_stat.unwrap_or_default();
        Ok(Self {
            outcome,
            result_text: report.result_text,
            usage: report.usage.unwrap_or_default().into(),
            agent_session: some(report.agent_session),
            exit_code: report.exit_code,
            base_commit: some(report.base_commit),
            branch,
            commits: report
                .commits
                .into_iter()
                .map(|commit| Commit { id: commit.id, subject: commit.subject })
                .collect(),
            diff_stat: DiffStat { files: stat.files, insertions: stat.insertions, deletions: stat.deletions },
            delivery: match delivery.kind() {
                v1::DeliveryKind::None => Delivery::None,
                v1::DeliveryKind::Pushed => Delivery::Pushed,
                v1::DeliveryKind::Bundled => Delivery::Bundled { why: delivery.why },
            },
            log_records: report.log_records,
            structured_output: some(report.structured_output),
        })
    }
}

impl From<Usage> for v1::Usage {
    fn from(usage: Usage) -> Self {
        Self {
            cost_micro_usd: usage.cost_micro_usd,
            turns: usage.turns,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            model: usage.model.unwrap_or_default(),
        }
    }
}

impl From<v1::Usage> for Usage {
    fn from(usage: v1::Usage) -> Self {
        Self {
            cost_micro_usd: usage.cost_micro_usd,
            turns: usage.turns,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            model: some(usage.model),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_the_wire() {
        let report = Report {
            outcome: Outcome::Failed {
                failure: Failure {
                    reason: factory_domain::FailureReason::ApiError,
                    message: "529 overloaded".into(),
                },
            },
            result_text: "words".into(),
            usage: Usage { cost_micro_usd: 12, turns: 3, model: Some("m".into()), ..Usage::default() },
            agent_session: Some("s".into()),
            exit_code: Some(1),
            base_commit: Some("abc".into()),
            branch: Some(factory_domain::BranchName::parse("factory/x").expect("a branch")),
            commits: vec![Commit { id: "abc".into(), subject: "Do it".into() }],
            diff_stat: DiffStat { files: 1, insertions: 2, deletions: 3 },
            delivery: Delivery::Bundled { why: "denied".into() },
            log_records: 9,
            structured_output: Some("{}".into()),
        };
        let wire = v1::Report::from(report.clone());
        assert_eq!(Report::try_from(wire), Ok(report.clone()));
        let failure = Failure { reason: factory_domain::FailureReason::UsageLimit, message: "429".into() };
        let outcome = Outcome::Limited { failure, until: Timestamp::from_millis(1_900_000_000_000) };
        let limited = Report { outcome, ..report };
        assert_eq!(Report::try_from(v1::Report::from(limited.clone())), Ok(limited.clone()));
        let handed_over = Report { outcome: Outcome::HandedOver, ..limited };
        assert_eq!(Report::try_from(v1::Report::from(handed_over.clone())), Ok(handed_over));
    }

    #[test]
    fn a_spec_survives_the_wire() {
        let draft = v1::TaskSpec {
            prompt: "Do it".into(),
            repo: "octo/app".into(),
            base: "main".into(),
            timeout_ms: Some(1500),
            labels: [("gpu".to_owned(), "no".to_owned())].into(),
            ..v1::TaskSpec::default()
        };
        let spec = spec_from_wire(draft).expect("valid");
        assert_eq!(spec_from_wire(spec.clone().into()), Ok(spec));
    }

    #[test]
    fn a_report_without_an_outcome_is_refused() {
        assert_eq!(Report::try_from(v1::Report::default()), Err(InvalidMessage::Missing("report.outcome")));
    }

    #[test]
    fn the_names_of_states_agree() {
        for name in TaskState::NAMES {
            assert_eq!(v1::TaskState::from_name(name).map(v1::TaskState::name), Some(name));
        }
    }
}
