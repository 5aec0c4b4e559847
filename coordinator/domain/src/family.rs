//! A task and those that were submitted for it, its children.

use crate::{Delivery, Notice, NoticeKind, Report, TaskState};

/// How far agents may go in submitting tasks of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Tasks above a child, up to the one that nobody's agent submitted.
    pub depth: u32,
    /// Children of one task that have not ended.
    pub live_children: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { depth: 5, live_children: 100 }
    }
}

/// Bytes of a child's closing words that its parent's agent is told; `task_status` has more.
const CLOSING_WORDS: usize = 2000;

/// A child that has ended, or another task that someone is told the end of.
#[derive(Debug, Clone, Copy)]
pub struct EndedChild<'a> {
    pub number: u64,
    pub title: &'a str,
    pub state: &'a TaskState,
    /// Of the attempt that decided it, where there was one.
    pub report: Option<&'a Report>,
}

impl EndedChild<'_> {
    /// What the agent of its parent is told.
    pub fn notice(&self) -> Notice {
        let mut text = format!("Your sub{}", self.story());
        text.push_str(&format!("\n\nThe tool `task_status` with `{}` says more.", self.number));
        Notice { kind: NoticeKind::ChildEnded, text }
    }

    /// How it ended, where its work is, and its closing words.
    pub fn story(&self) -> String {
        let Self { number, title, .. } = self;
        let mut text = format!("task {number} ({title}) {}.", self.end());
        if let Some((report, branch)) = self.report.and_then(|report| Some((report, report.branch.as_ref()?)))
            && !report.commits.is_empty()
        {
            let place = match report.delivery {
                Delivery::Pushed => "which is pushed to the origin",
                Delivery::Bundled { .. } | Delivery::None => "which is not in the origin",
            };
            text.push_str(&format!(" Its work is on the branch `{branch}`, {place}."));
        }
        let words = self.report.map(|report| report.result_text.trim()).unwrap_or_default();
        if !words.is_empty() {
            text.push_str(&format!(" Its closing words:\n\n{}", quoted(words)));
        }
        text
    }

    fn end(&self) -> String {
        match self.state {
            TaskState::Failed { failure, .. } => format!("has failed: {failure}"),
            TaskState::Cancelled { .. } => "was cancelled".to_owned(),
            state => format!("has {}", state.name()),
        }
    }
}

/// As a quotation, so that what a child says is not taken for what the factory says.
fn quoted(words: &str) -> String {
    let short = &words[..words.floor_char_boundary(CLOSING_WORDS)];
    let cut = if short.len() < words.len() { " …" } else { "" };
    let lines: Vec<_> = short.lines().map(|line| format!("> {line}")).collect();
    lines.join("\n") + cut
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{AttemptId, BranchName, CancelReason, Commit, DiffStat, Outcome, Usage};

    fn report(words: &str) -> Report {
        Report {
            outcome: Outcome::Succeeded,
            result_text: words.into(),
            usage: Usage::default(),
            agent_session: None,
            exit_code: None,
            base_commit: None,
            branch: Some(BranchName::parse("factory/x").expect("a branch")),
            commits: vec![Commit { id: "c1".into(), subject: "Do it".into() }],
            diff_stat: DiffStat::default(),
            delivery: Delivery::Pushed,
            log_records: 0,
            structured_output: None,
        }
    }

    #[test]
    fn a_parent_is_told_the_end_the_branch_and_the_closing_words() {
        let state = TaskState::Succeeded { attempt: AttemptId::from_uuid(Uuid::from_u128(1)) };
        let report = report("All done.\nTests pass.");
        let child = EndedChild { number: 7, title: "Docs", state: &state, report: Some(&report) };
        let Notice { kind, text } = child.notice();
        assert_eq!(kind, NoticeKind::ChildEnded);
        assert!(
            text.starts_with("Your subtask 7 (Docs) has succeeded. Its work is on the branch `factory/x`")
        );
        assert!(text.contains("> All done.\n> Tests pass.\n"), "{text}");
        assert!(text.ends_with("The tool `task_status` with `7` says more."), "{text}");
    }

    #[test]
    fn long_words_are_cut_and_a_child_that_never_ran_says_none() {
        let state = TaskState::Cancelled { because: CancelReason::Requested };
        let child = EndedChild { number: 7, title: "Docs", state: &state, report: None };
        assert!(child.notice().text.starts_with("Your subtask 7 (Docs) was cancelled.\n\n"));
        let report = report(&"ä".repeat(CLOSING_WORDS));
        let text = EndedChild { report: Some(&report), ..child }.notice().text;
        assert!(text.len() < 2 * CLOSING_WORDS && text.contains("ä …"), "{}", text.len());
    }
}
