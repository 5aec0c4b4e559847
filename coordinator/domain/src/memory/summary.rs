//! What the coordinator remembers of a task when it has ended.

use std::fmt::Write as _;

use crate::memory::{Memory, Scope, agent_tag};
use crate::{Delivery, MemoryKind, Report, TaskId, TaskSpec, TaskState};

/// Bytes of the agent's closing words that are kept; the task has them all.
const MAX_WORDS: usize = 1500;
const MAX_COMMITS: usize = 10;
/// Characters of a commit's id that people write.
const SHORT_ID: usize = 10;

/// A task that has ended, with what is known of its end.
#[derive(Debug, Clone)]
pub struct Ended<'a> {
    pub task: TaskId,
    pub number: u64,
    pub spec: &'a TaskSpec,
    pub state: &'a TaskState,
    pub report: Option<&'a Report>,
}

/// What later tasks may want to know of this one: what was asked, what came of it, where the work
/// is. `None` where there is nobody to tell, or nothing: a cancelled task learned nothing by its end.
pub fn summary(ended: &Ended<'_>) -> Option<Memory> {
    let scope = Scope::of_task(ended.spec)?;
    let mut tags = std::collections::BTreeSet::from([agent_tag(ended.spec.role.as_ref())]);
    let (kind, mut content) = match ended.state {
        TaskState::Succeeded { .. } => {
            (MemoryKind::Fact, format!("Task {} succeeded: {}", ended.number, ended.spec.title))
        }
        TaskState::Failed { failure, .. } => {
            tags.insert(failure.reason.to_string());
            let head = format!("Task {} failed: {}\n{failure}", ended.number, ended.spec.title);
            (MemoryKind::Error, head)
        }
        _ => return None,
    };
    if let Some(report) = ended.report {
        add_work(&mut content, report);
        add_words(&mut content, report);
    }
    let role = ended.spec.role.clone();
    Some(Memory { kind, content, tags, scope, role, task: Some(ended.task), is_summary: true })
}

fn add_work(content: &mut String, report: &Report) {
    if let Some(branch) = &report.branch
        && !report.commits.is_empty()
    {
        let place = match report.delivery {
            Delivery::Pushed => "",
            Delivery::None | Delivery::Bundled { .. } => " (not in the origin)",
        };
        // Writing to a string cannot fail.
        let _ = write!(content, "\nBranch {branch}{place}:");
        for commit in report.commits.iter().take(MAX_COMMITS) {
            let id = commit.id.get(..SHORT_ID).unwrap_or(&commit.id);
            let _ = write!(content, "\n- {id} {}", commit.subject);
        }
        if report.commits.len() > MAX_COMMITS {
            let _ = write!(content, "\n- and {} more", report.commits.len() - MAX_COMMITS);
        }
    }
}

fn add_words(content: &mut String, report: &Report) {
    let words = report.result_text.trim();
    if !words.is_empty() {
        let _ = write!(content, "\nIts agent's closing words: {}", shorten(words, MAX_WORDS));
    }
}

/// At most so many bytes, cut between characters, with a mark where something is left out.
pub(super) fn shorten(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let kept = &text[..text.floor_char_boundary(bytes.saturating_sub('…'.len_utf8()))];
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{AttemptId, Commit, DiffStat, Failure, FailureReason, Outcome, SpecDraft, Usage};

    fn spec(agent: &str, repo: &str) -> TaskSpec {
        let argv = if agent == "command" { vec!["true".to_owned()] } else { Vec::new() };
        let (agent, repo) = (agent.to_owned(), repo.to_owned());
        let role = "test".to_owned();
        let prompt = "Fix the login".to_owned();
        SpecDraft { prompt, agent, repo, role, argv, ..SpecDraft::default() }.validate().expect("valid")
    }

    fn report(words: &str) -> Report {
        Report {
            outcome: Outcome::Succeeded,
            result_text: words.to_owned(),
            usage: Usage::default(),
            agent_session: None,
            exit_code: Some(0),
            base_commit: None,
            branch: Some(crate::BranchName::parse("factory/fix").expect("a branch")),
            commits: vec![Commit { id: "a".repeat(40), subject: "Mend it".into() }],
            diff_stat: DiffStat::default(),
            delivery: Delivery::Pushed,
            log_records: 0,
            structured_output: None,
        }
    }

    fn of(spec: &TaskSpec, state: &TaskState, report: &Report) -> Option<Memory> {
        let task = TaskId::from_uuid(Uuid::nil());
        summary(&Ended { task, number: 7, spec, state, report: Some(report) })
    }

    #[test]
    fn a_success_is_a_fact_with_the_work_and_the_closing_words() {
        let state = TaskState::Succeeded { attempt: AttemptId::from_uuid(Uuid::nil()) };
        let memory =
            of(&spec("claude", "octo/app"), &state, &report("The clock was set back.")).expect("one");
        assert_eq!(memory.kind, MemoryKind::Fact);
        assert_eq!(
            memory.content,
            "Task 7 succeeded: Fix the login\nBranch factory/fix:\n- aaaaaaaaaa Mend it\nIts agent's closing words: The clock was set back."
        );
        assert!(memory.is_summary && memory.tags.contains("test-agent"));
    }

    #[test]
    fn a_failure_is_an_error_with_its_reason() {
        let failure = Failure { reason: FailureReason::TimeoutIdle, message: "Silent for 10m.".into() };
        let state = TaskState::Failed { attempt: AttemptId::from_uuid(Uuid::nil()), failure };
        let memory = of(&spec("claude", "octo/app"), &state, &report(&"ö".repeat(2000))).expect("one");
        assert_eq!(memory.kind, MemoryKind::Error);
        assert!(memory.content.contains("timeout_idle: Silent for 10m."), "{}", memory.content);
        assert!(memory.tags.contains("timeout_idle"));
        assert!(memory.content.len() < MAX_WORDS + 300 && memory.content.ends_with('…'));
    }

    #[test]
    fn where_there_is_nobody_to_tell_nothing_is_remembered() {
        let done = TaskState::Succeeded { attempt: AttemptId::from_uuid(Uuid::nil()) };
        assert!(of(&spec("command", "octo/app"), &done, &report("x")).is_none());
        assert!(of(&spec("claude", ""), &done, &report("x")).is_none());
        let cancelled = TaskState::Cancelled { because: crate::CancelReason::Requested };
        assert!(of(&spec("claude", "octo/app"), &cancelled, &report("x")).is_none());
    }
}
