//! What an agent may ask a person, which answers it takes, and how the agent hears of them.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::time::Duration;

use crate::draft::Violation;
use crate::{Notice, NoticeKind};

/// Bytes of a question, and of an answer.
pub const MAX_TEXT: usize = 64 * 1024;
pub const MAX_OPTIONS: usize = 20;
/// Bytes of one option.
pub const MAX_OPTION: usize = 1000;
/// Bytes of the key by which the same question is known again.
pub const MAX_KEY: usize = 200;
pub const MAX_DEADLINE: Duration = Duration::from_secs(365 * 24 * 3600);

/// How the feed tells of an attempt whose agent ended its turn to wait for an answer.
pub const ENDED_ITS_TURN: &str = "its agent ended its turn to wait for an answer";

/// Who gave an answer that nobody gave.
pub const BY_DEADLINE: &str = "deadline";

/// A question that can be asked: made by [`Question::new`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub text: String,
    /// Empty: any answer will do.
    pub options: Vec<String>,
    /// What counts as the answer once the deadline has passed.
    pub default_answer: Option<String>,
    /// From the asking; `None`: it waits for ever.
    pub deadline: Option<Duration>,
}

impl Question {
    /// Checks what an agent gave, and names everything that is wrong with it.
    pub fn new(
        text: &str,
        options: &[String],
        default_answer: Option<&str>,
        deadline: Option<Duration>,
    ) -> Result<Self, Vec<Violation>> {
        let mut violations = Vec::new();
        let mut refuse = |field, why: String| violations.push(Violation { field, why });
        let text = text.trim();
        if text.is_empty() {
            refuse("text", "is empty".to_owned());
        } else if text.len() > MAX_TEXT {
            refuse("text", format!("is longer than {} KiB", MAX_TEXT / 1024));
        }
        let options: Vec<String> = options.iter().map(|option| option.trim().to_owned()).collect();
        if let Some(why) = why_not_options(&options) {
            refuse("options", why);
        }
        let default_answer = default_answer.map(|answer| choose(&options, answer)).transpose();
        let default_answer = default_answer.unwrap_or_else(|why| {
            refuse("default_answer", why.to_string());
            None
        });
        if default_answer.is_some() && deadline.is_none() {
            refuse(
                "deadline_ms",
                "is missing: a default answer counts once a deadline has passed".to_owned(),
            );
        }
        if deadline.is_some_and(|deadline| deadline > MAX_DEADLINE) {
            refuse("deadline_ms", "is more than a year away".to_owned());
        }
        let text = text.to_owned();
        if violations.is_empty() {
            Ok(Self { text, options, default_answer, deadline })
        } else {
            Err(violations)
        }
    }
}

fn why_not_options(options: &[String]) -> Option<String> {
    if options.len() > MAX_OPTIONS {
        return Some(format!("are more than {MAX_OPTIONS}"));
    }
    if options.iter().any(String::is_empty) {
        return Some("have an empty one among them".to_owned());
    }
    if options.iter().any(|option| option.len() > MAX_OPTION) {
        return Some(format!("have one among them that is longer than {MAX_OPTION} bytes"));
    }
    let mut seen = HashSet::new();
    let twice = options.iter().find(|option| !seen.insert(option.to_lowercase()))?;
    Some(format!("have `{twice}` twice"))
}

/// An answer that the question does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAnswer {
    #[error("is empty")]
    Empty,
    #[error("is longer than {} KiB", MAX_TEXT / 1024)]
    TooLong,
    #[error("`{given}` is none of the options; answer with one of them or with its number: {}", numbered(.options))]
    NotAnOption { given: String, options: Vec<String> },
}

fn numbered(options: &[String]) -> String {
    let all: Vec<String> = (1..).zip(options).map(|(n, option)| format!("{n}) {option}")).collect();
    all.join(", ")
}

/// The answer meant by what was `given`: where there are options, one of them, by its text or by its
/// number in their order, counted from 1. Text goes before number, since an option may be a number.
pub fn choose(options: &[String], given: &str) -> Result<String, NotAnAnswer> {
    let given = given.trim();
    if given.is_empty() {
        return Err(NotAnAnswer::Empty);
    }
    if given.len() > MAX_TEXT {
        return Err(NotAnAnswer::TooLong);
    }
    if options.is_empty() {
        return Ok(given.to_owned());
    }
    let by_text = || options.iter().find(|option| option.to_lowercase() == given.to_lowercase());
    let by_number = || given.parse::<usize>().ok()?.checked_sub(1).and_then(|place| options.get(place));
    by_text().or_else(by_number).cloned().ok_or_else(|| NotAnAnswer::NotAnOption {
        given: given.chars().take(100).collect(),
        options: options.to_vec(),
    })
}

/// Where a question stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionState {
    Open,
    Answered,
    /// Its deadline passed: the default is the answer, or there is none.
    Expired,
    /// Its task ended before anyone answered.
    Withdrawn,
}

impl QuestionState {
    pub const ALL: [Self; 4] = [Self::Open, Self::Answered, Self::Expired, Self::Withdrawn];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Answered => "answered",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl fmt::Display for QuestionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown question state `{0}`")]
pub struct UnknownQuestionState(String);

impl FromStr for QuestionState {
    type Err = UnknownQuestionState;

    fn from_str(name: &str) -> Result<Self, UnknownQuestionState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == name)
            .ok_or_else(|| UnknownQuestionState(name.to_owned()))
    }
}

/// How a question came to its end while its task went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled<'a> {
    Answered {
        answer: &'a str,
        by: &'a str,
    },
    /// Nobody answered in time.
    Expired {
        default_answer: Option<&'a str>,
    },
}

/// What the agent is told of it.
pub fn notice(number: u64, text: &str, settled: Settled<'_>) -> Notice {
    let mut told = format!("Your question {number} was:\n\n{}\n\n", quoted(text));
    // Writing to a string cannot fail.
    let _ = match settled {
        Settled::Answered { answer, by } => write!(told, "The answer, by {by}:\n\n{}", quoted(answer)),
        Settled::Expired { default_answer: Some(answer) } => write!(
            told,
            "Nobody answered before its deadline, so what you gave as the default is the answer:\n\n{}",
            quoted(answer)
        ),
        Settled::Expired { default_answer: None } => write!(
            told,
            "Nobody answered before its deadline, and nobody will. Decide it yourself, as cautiously as \
             the task allows, and say at the end what you decided and why."
        ),
    };
    Notice { kind: NoticeKind::Answer, text: told }
}

/// As a Markdown quotation, so that no word of it is taken for the factory's own.
fn quoted(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("> {line}").trim_end().to_owned()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(options: &[&str]) -> Vec<String> {
        options.iter().map(|option| (*option).to_owned()).collect()
    }

    #[test]
    fn an_option_is_chosen_by_its_text_or_its_number() {
        let colours = options(&["Red", "Dark blue"]);
        for (given, meant) in [("red", "Red"), (" 2 ", "Dark blue"), ("Dark Blue", "Dark blue")] {
            assert_eq!(choose(&colours, given).as_deref(), Ok(meant));
        }
        for none in ["0", "3", "blue", "-1"] {
            let refused = choose(&colours, none).expect_err("none of them").to_string();
            assert!(refused.contains("1) Red, 2) Dark blue"), "{refused}");
        }
        assert_eq!(choose(&[], " whatever\nyou like ").as_deref(), Ok("whatever\nyou like"));
        assert_eq!(choose(&[], "  "), Err(NotAnAnswer::Empty));
        assert_eq!(choose(&[], &"x".repeat(MAX_TEXT + 1)), Err(NotAnAnswer::TooLong));
    }

    #[test]
    fn an_option_that_is_a_number_goes_before_the_number_of_an_option() {
        let retries = options(&["3", "1", "2"]);
        for number in ["1", "2", "3"] {
            assert_eq!(choose(&retries, number).as_deref(), Ok(number));
        }
    }

    #[test]
    fn all_that_is_wrong_with_a_question_is_said_at_once() {
        let wrong = Question::new(" ", &options(&["a", "A "]), Some("c"), None).expect_err("refused");
        let fields: Vec<_> = wrong.iter().map(|violation| violation.field).collect();
        assert_eq!(fields, ["text", "options", "default_answer"]);
        let many: Vec<String> = (0..21).map(|n| n.to_string()).collect();
        let year = Duration::from_secs(366 * 24 * 3600);
        let wrong = Question::new("Which?", &many, None, Some(year)).expect_err("refused");
        assert_eq!(
            wrong.iter().map(|violation| violation.field).collect::<Vec<_>>(),
            ["options", "deadline_ms"]
        );
        let wrong = Question::new("Which?", &[], Some("left"), None).expect_err("refused");
        assert_eq!(wrong[0].field, "deadline_ms");
    }

    #[test]
    fn a_default_given_by_number_is_kept_as_its_text() {
        let hour = Some(Duration::from_secs(3600));
        let asked = Question::new("Which?\n", &options(&["left", "right"]), Some("2"), hour).expect("taken");
        assert_eq!((asked.text.as_str(), asked.default_answer.as_deref()), ("Which?", Some("right")));
    }

    #[test]
    fn the_agent_is_told_the_question_and_who_answered() {
        let told = notice(7, "Left\nor right?", Settled::Answered { answer: "left", by: "ada" });
        assert_eq!(told.kind, NoticeKind::Answer);
        assert_eq!(told.text, "Your question 7 was:\n\n> Left\n> or right?\n\nThe answer, by ada:\n\n> left");
        let told = notice(7, "Left?", Settled::Expired { default_answer: None });
        assert!(told.text.contains("nobody will"));
        let told = notice(7, "Left?", Settled::Expired { default_answer: Some("yes") });
        assert!(told.text.ends_with("> yes"));
    }
}
