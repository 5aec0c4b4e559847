//! The steps a prompt may hold, one a line. Lines that begin with no step's name are prose.

use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// `say TEXT`
    Say(String),
    /// `sleep MILLISECONDS`
    Sleep(Duration),
    /// `write PATH TEXT`; `\n` in the text is a line break
    Write { path: String, text: String },
    /// `append PATH TEXT`; where the agent was resumed and the file ends with it, it was done before
    Append { path: String, text: String },
    /// `commit MESSAGE`: everything there is to commit; a resumed agent may find nothing
    Commit(String),
    /// `run PROGRAM [ARG]…`: no shell; a failure is told and the run goes on
    Run(Vec<String>),
    /// `lines N`: so many lines of output, for load
    Lines(u64),
    /// `line BYTES`: one line of that length
    Line(usize),
    /// `cost USD`: what the run has cost in all
    Cost(f64),
    /// `tokens N`: a message to the model that used so many tokens of input
    Tokens(u64),
    /// `orphan`: a process in a session of its own that would outlive the agent
    Orphan,
    /// `linger MILLISECONDS`: the process stays so much longer than its result
    Linger(Duration),
    /// `fail MESSAGE`
    Fail(String),
    /// `fail-once MESSAGE`: on the task's first attempt only
    FailOnce(String),
    /// `limit-once SECONDS`: on the task's first attempt only, a usage limit reset so much later
    LimitOnce(Duration),
}

impl Step {
    fn parse(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        let text = || unescape(rest);
        Some(match name {
            "say" => Self::Say(text()),
            "sleep" => Self::Sleep(Duration::from_millis(rest.parse().ok()?)),
            "write" => path_and_text(rest).map(|(path, text)| Self::Write { path, text })?,
            "append" => path_and_text(rest).map(|(path, text)| Self::Append { path, text })?,
            "commit" if !rest.is_empty() => Self::Commit(text()),
            "run" if !rest.is_empty() => Self::Run(rest.split_whitespace().map(str::to_owned).collect()),
            "lines" => Self::Lines(rest.parse().ok()?),
            "line" => Self::Line(rest.parse().ok()?),
            "cost" => Self::Cost(rest.parse().ok()?),
            "tokens" => Self::Tokens(rest.parse().ok()?),
            "orphan" if rest.is_empty() => Self::Orphan,
            "linger" => Self::Linger(Duration::from_millis(rest.parse().ok()?)),
            "fail" => Self::Fail(text()),
            "fail-once" => Self::FailOnce(text()),
            "limit-once" => Self::LimitOnce(Duration::from_secs(rest.parse().ok()?)),
            _ => return None,
        })
    }
}

/// The steps of a prompt; one without any is taken as something to note down.
pub fn parse(prompt: &str) -> Vec<Step> {
    let steps: Vec<_> = prompt.lines().filter_map(|line| Step::parse(line.trim())).collect();
    if steps.is_empty() { note(prompt.trim()) } else { steps }
}

fn note(prompt: &str) -> Vec<Step> {
    let title: String = prompt.lines().next().unwrap_or_default().chars().take(60).collect();
    vec![
        Step::Say("I follow scripts and found no steps in this prompt, so I note it down.".to_owned()),
        Step::Append { path: "NOTES.md".to_owned(), text: format!("- {prompt}\n") },
        Step::Commit(format!("Note: {title}")),
    ]
}

fn path_and_text(rest: &str) -> Option<(String, String)> {
    let (path, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let text = if text.is_empty() { String::new() } else { unescape(text) + "\n" };
    (!path.is_empty()).then(|| (path.to_owned(), text))
}

fn unescape(text: &str) -> String {
    text.replace("\\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_found_among_prose() {
        let prompt =
            "Please do this:\n\n  write src/a.txt one\\ntwo\ncommit Add a\nsleep soundly\nrun git status -s";
        assert_eq!(
            parse(prompt),
            [
                Step::Write { path: "src/a.txt".into(), text: "one\ntwo\n".into() },
                Step::Commit("Add a".into()),
                Step::Run(vec!["git".into(), "status".into(), "-s".into()]),
            ]
        );
    }

    #[test]
    fn a_prompt_without_steps_is_noted_down() {
        let steps = parse("Add a login page");
        assert_eq!(steps[2], Step::Commit("Note: Add a login page".into()));
    }
}
