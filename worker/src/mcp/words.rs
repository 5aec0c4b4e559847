//! What the coordinator answers, as a model reads it: Markdown, the telling things first, no more than is of use.

use factory_domain::{Notice, NoticeKind};
use factory_proto::v1;
use serde_json::{Value, json};

use super::link::Trouble;

/// What is new for an agent begins with it, wherever it is told.
pub const NEWS: &str = "# News from the factory that runs you";
/// Bytes of a task's closing words that others are shown.
const CLOSING_WORDS: usize = 1500;

/// What an agent has not been told yet, grouped by kind; `None`: nothing.
pub fn news(notices: &[Notice]) -> Option<String> {
    let mut kinds: Vec<NoticeKind> = notices.iter().map(|notice| notice.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let groups = kinds.into_iter().map(|kind| {
        let of_kind = notices.iter().filter(|notice| notice.kind == kind);
        let texts: Vec<_> = of_kind.map(|notice| notice.text.trim_end()).collect();
        format!("## {}\n\n{}", heading(kind), texts.join("\n\n"))
    });
    let groups: Vec<_> = groups.collect();
    (!groups.is_empty()).then(|| format!("{NEWS}\n\n{}", groups.join("\n\n")))
}

const fn heading(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Answer => "Answers to your questions",
        NoticeKind::Message => "Messages",
        NoticeKind::Handoff => "Handoffs to you",
        NoticeKind::Memory => "What earlier tasks learned",
        NoticeKind::ChildEnded => "Subtasks that have ended",
        NoticeKind::Dependency => "The tasks that yours waited for",
    }
}

/// The answer to Claude Code's hook after a tool: what it puts before the model beside the tool's result.
pub fn for_hook(notices: &[Notice]) -> Value {
    match news(notices) {
        Some(news) => json!({
            "hookSpecificOutput": { "hookEventName": "PostToolUse", "additionalContext": news },
        }),
        None => json!({}),
    }
}

/// A question that nobody is waiting for any more.
pub fn closed_question(question: &v1::Question) -> String {
    let number = question.number;
    match question.state() {
        v1::QuestionState::Answered => {
            let by = if question.answered_by.is_empty() { "The user" } else { &question.answered_by };
            format!("{by} answered question {number}: {}", question.answer)
        }
        v1::QuestionState::Expired if question.answer.is_empty() => format!(
            "Nobody answered question {number} in time. Decide as you think best, and say at the end what you decided."
        ),
        v1::QuestionState::Expired => {
            format!("Nobody answered question {number} in time; its default counts: {}", question.answer)
        }
        _ => format!("Question {number} was withdrawn; nobody will answer it."),
    }
}

/// A question that the agent is not to wait for any longer.
pub fn open_question(question: &v1::Question) -> String {
    format!(
        "Nobody has answered question {} yet. End your turn now: say in one line what you wait for, and call no more \
         tools. You will be resumed in this conversation, with your work as it is, as soon as the answer is there. Do \
         not ask again, and do not guess the answer.",
        question.number
    )
}

/// Messages, as they were said.
pub fn messages(messages: &[v1::Message]) -> String {
    if messages.is_empty() {
        return "No messages.".to_owned();
    }
    let one = |message: &v1::Message| {
        let from = match (message.from.as_str(), message.from_task_number) {
            (from, 0) => from.to_owned(),
            (from, task) => format!("{from} (task:{task})"),
        };
        let reply = match message.reply_to_number {
            0 => String::new(),
            number => format!(", in reply to {number}"),
        };
        let kind = message.r#type().as_str_name().trim_start_matches("MESSAGE_TYPE_").to_lowercase();
        let (number, to, at) = (message.number, &message.to, clock(message.at_ms));
        format!("**Message {number}** ({kind}) from {from} to {to}{reply}, {at}:\n{}", message.content)
    };
    messages.iter().map(one).collect::<Vec<_>>().join("\n\n")
}

/// How tasks stand, one a paragraph.
pub fn tasks(tasks: &[v1::Task]) -> String {
    if tasks.is_empty() {
        return "No such tasks.".to_owned();
    }
    tasks.iter().map(task).collect::<Vec<_>>().join("\n\n")
}

fn task(task: &v1::Task) -> String {
    let title = task.spec.as_ref().map_or("", |spec| spec.title.as_str());
    let state = task.state().as_str_name().trim_start_matches("TASK_STATE_").to_lowercase();
    let mut lines = vec![format!("**Task {}** ({title}): {state}", task.number)];
    let mut line = |name: &str, text: &str| {
        if !text.is_empty() {
            lines.push(format!("- {name}: {text}"));
        }
    };
    let percent = task.progress_percent.map(|percent| format!(" ({percent} %)")).unwrap_or_default();
    line("waits", &task.waiting_for);
    line("how far", &format!("{}{percent}", task.progress));
    line("cancelled because", &task.cancelled_because);
    if let Some(failure) = &task.failure {
        line("failure", &format!("{}: {}", failure.reason, failure.message));
    }
    if let Some(report) = &task.report {
        line("branch", &report.branch);
        line("closing words", clipped(&report.result_text));
    }
    lines.join("\n")
}

/// What came of asking for files.
pub fn locked(response: &v1::LockFilesResponse) -> Result<String, Trouble> {
    if response.granted {
        return Ok("They are yours until your work ends, or until you give them back.".to_owned());
    }
    let holders = response.held.iter().map(|lock| {
        let (path, task, title) = (&lock.path, lock.task_number, &lock.title);
        match lock.since_ms {
            0 => format!("- {path} goes to task {task} ({title}) first"),
            since => format!("- {path} is held by task {task} ({title}), since {}", clock(since)),
        }
    });
    let mut lines = vec!["You have none of them.".to_owned()];
    lines.extend(holders);
    if !response.refused_because.is_empty() {
        lines.push(format!("It was not waited for: {}", response.refused_because));
    }
    lines.push("Do something else first, or tell those tasks what you need with post_message.".to_owned());
    Err(Trouble::NotHad(lines.join("\n")))
}

pub fn memories(hits: &[v1::MemoryHit]) -> String {
    let memories = hits.iter().filter_map(|hit| hit.memory.as_ref()).map(|memory| {
        let kind = memory.kind().as_str_name().trim_start_matches("MEMORY_KIND_").to_lowercase();
        let task = match memory.task_number {
            0 => String::new(),
            number => format!(", task {number}"),
        };
        let tags =
            if memory.tags.is_empty() { String::new() } else { format!(" [{}]", memory.tags.join(", ")) };
        format!(
            "**Memory {}** ({kind}, {}{task}){tags}:\n{}",
            memory.number,
            day(memory.at_ms),
            memory.content
        )
    });
    let memories: Vec<_> = memories.collect();
    if memories.is_empty() { "Nothing is known about that.".to_owned() } else { memories.join("\n\n") }
}

fn clipped(text: &str) -> &str {
    &text[..text.floor_char_boundary(CLOSING_WORDS)]
}

fn clock(at_ms: i64) -> String {
    shown(at_ms, "%H:%M UTC on %Y-%m-%d")
}

fn day(at_ms: i64) -> String {
    shown(at_ms, "%Y-%m-%d")
}

fn shown(at_ms: i64, format: &str) -> String {
    jiff::Timestamp::from_millisecond(at_ms)
        .map_or_else(|_| at_ms.to_string(), |at| at.strftime(format).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_is_grouped_by_kind_and_what_answers_comes_first() {
        assert_eq!(news(&[]), None);
        let notice = |kind, text: &str| Notice { kind, text: text.to_owned() };
        let told = news(&[
            notice(NoticeKind::Message, "one\n"),
            notice(NoticeKind::Answer, "81"),
            notice(NoticeKind::Message, "two"),
        ]);
        let expected = "## Answers to your questions\n\n81\n\n## Messages\n\none\n\ntwo";
        assert_eq!(told.unwrap(), format!("{NEWS}\n\n{expected}"));
    }

    #[test]
    fn files_that_are_not_had_are_told_with_who_has_them() {
        let lock = |path: &str, since_ms| v1::FileLock {
            path: path.to_owned(),
            task_number: 7,
            title: "Fix it".to_owned(),
            since_ms,
            ..v1::FileLock::default()
        };
        let held = vec![lock("src/**", 1_800_000_000_000), lock("Cargo.lock", 0)];
        let response = v1::LockFilesResponse { held, ..v1::LockFilesResponse::default() };
        let told = locked(&response).unwrap_err().to_string();
        assert!(told.contains("src/** is held by task 7 (Fix it), since 08:00 UTC on 2027-01-15"), "{told}");
        assert!(told.contains("Cargo.lock goes to task 7 (Fix it) first"), "{told}");
    }
}
