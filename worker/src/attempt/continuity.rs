//! What an attempt found of the one it goes on from, and how that is told: to the agent in its prompt, to
//! people in the log. Pure. An agent acts on these words, so they claim nothing that is not known.

use std::path::Path;

use factory_domain::continuation::ENDED_ITS_TURN;
use factory_domain::{AttemptId, Timestamp};
use serde::{Deserialize, Serialize};

/// What is left of the earlier attempt here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    pub attempt: AttemptId,
    /// What ended it.
    pub because: String,
    /// It was at another task, whose work this one takes up.
    #[serde(default)]
    pub of_another_task: bool,
    pub workspace: Workspace,
    /// The agent goes on with the conversation it had.
    pub remembers: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workspace {
    /// The very one it worked in.
    Same,
    /// Made anew from what was saved of it then, by the clock of the worker it ran on.
    Restored { saved_at: Timestamp },
    /// Made anew, with nothing of what it did.
    Fresh,
}

/// What is said to an agent that knows nothing of the task's past.
const HEADING: &str = "Note from the factory that runs you, about an earlier attempt at this task:";

impl Past {
    /// For the agent, which works in `workspace`. Every line begins with a capital letter or a dash: to
    /// the scripted agent it is prose.
    pub fn note(&self, workspace: &Path) -> String {
        let place = workspace.display();
        let ended = one_line(&self.because);
        if self.of_another_task {
            self.note_of_another(&place.to_string())
        } else if self.remembers && self.because == ENDED_ITS_TURN {
            format!(
                "You ended your turn to wait for an answer. Now you go on with the same task, in the same \
                 conversation; nothing that you asked is open any more.\n\
                 - {}\n\
                 - Nothing that you had started is running any more.\n\
                 Carry the task through to its end.",
                self.workspace_remembered(&place.to_string())
            )
        } else if self.remembers {
            format!(
                "You were interrupted: {ended}. Now you go on with the same task, in the same conversation.\n\
                 - {}\n\
                 - The outcome of any tool call that was under way is unknown, and nothing that you had started \
                 is running any more.\n\
                 - Before you repeat anything that has an effect (a command, a commit, a push, a message), look \
                 whether it has happened already, for instance with `git status` and `git log`.\n\
                 Carry the task through to its end.",
                self.workspace_remembered(&place.to_string())
            )
        } else {
            format!(
                "{HEADING}\n\
                 - It ended before the task was done: {ended}. You do not have its conversation.\n\
                 - {}\n\
                 - It may have had effects elsewhere, such as pushes or messages. Before you do anything of the \
                 kind, look whether it has been done already.",
                self.workspace_found(&place.to_string())
            )
        }
    }

    /// The earlier task is done; what is on the branch is where this one begins.
    fn note_of_another(&self, place: &str) -> String {
        let begun = match self.workspace {
            Workspace::Same => "the one you know",
            Workspace::Restored { .. } | Workspace::Fresh => "made anew",
        };
        if self.remembers {
            format!(
                "Your earlier task has ended: {}. This is a new task, in the same conversation.\n\
                 - Your working directory is {place}, {begun}, on the branch that this task goes on with. Look \
                 at it with `git status` and `git log` where it is a repository: it may have changed since.\n\
                 - Nothing that you had started is running any more.",
                one_line(&self.because)
            )
        } else {
            format!(
                "Note from the factory that runs you: this task goes on from the work of another, whose \
                 conversation you do not have.\n\
                 - Your working directory is {place}, on the branch that this task goes on with. Look at it \
                 first, with `git status` and `git log` where it is a repository."
            )
        }
    }

    fn workspace_remembered(&self, place: &str) -> String {
        match self.workspace {
            Workspace::Same => format!(
                "You are in the same working directory as before, {place}. Its files are as they were left, \
                 changes that are not committed included."
            ),
            Workspace::Restored { saved_at } => format!(
                "Your working directory is {place} now; the one you know of is gone. It was restored from what \
                 was saved at {}: your commits and the changes that were not committed, but not the files that \
                 git ignores, such as installed packages and build output. What you changed after that time \
                 is missing, even where you remember it; what you did shortly before may be there without \
                 your remembering it.",
                clock(saved_at)
            ),
            Workspace::Fresh => format!(
                "Your working directory is {place} now, made anew: nothing that you changed before is in it."
            ),
        }
    }

    fn workspace_found(&self, place: &str) -> String {
        match self.workspace {
            Workspace::Same => format!(
                "You are in its working directory, {place}, with its commits and with changes that it had not \
                 committed. Look at them first, with `git status` and `git log` where it is a repository, and \
                 build on what is good."
            ),
            Workspace::Restored { saved_at } => format!(
                "Your working directory, {place}, has what was saved of its work at {}: its commits, and \
                 changes that it had not committed. Look at them first, with `git status` and `git log` where \
                 it is a repository, and build on what is good.",
                clock(saved_at)
            ),
            Workspace::Fresh => {
                format!("Your working directory, {place}, was made anew: nothing of what it did is in it.")
            }
        }
    }

    /// For people, in one line.
    pub fn line(&self) -> String {
        let from =
            format!("going on from attempt {}, which had ended: {}", self.attempt, one_line(&self.because));
        let workspace = match self.workspace {
            Workspace::Same => "in the same workspace".to_owned(),
            Workspace::Restored { saved_at } => format!("with the work saved at {}", clock(saved_at)),
            Workspace::Fresh => "afresh, since its work could not be had".to_owned(),
        };
        let conversation = match self.remembers {
            true => "the agent resumes its conversation",
            false => "the agent begins a new conversation and is told of it",
        };
        format!("{from}; {workspace}; {conversation}")
    }
}

/// A cause may be of several lines, and end like a sentence.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}

fn clock(at: Timestamp) -> String {
    let shown = jiff::Timestamp::from_millisecond(at.as_millis());
    shown.map_or_else(|_| at.to_string(), |at| at.strftime("%H:%M:%S UTC on %Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::scripted;
    use uuid::Uuid;

    const SAVED: Workspace = Workspace::Restored { saved_at: Timestamp::from_millis(1_900_000_000_000) };

    fn past(workspace: Workspace, remembers: bool) -> Past {
        Past {
            attempt: AttemptId::from_uuid(Uuid::from_u128(1)),
            because: "worker_lost: its worker\nrun away was not heard of any more.".into(),
            of_another_task: false,
            workspace,
            remembers,
        }
    }

    fn note(workspace: Workspace, remembers: bool) -> String {
        past(workspace, remembers).note(Path::new("/work/x"))
    }

    #[test]
    fn every_note_says_why_and_where_and_to_look_before_repeating() {
        for remembers in [true, false] {
            for workspace in [Workspace::Same, SAVED, Workspace::Fresh] {
                let note = note(workspace, remembers);
                assert!(note.contains("its worker run away was not heard of any more. "), "{note}");
                assert!(note.contains("/work/x") && note.contains("look whether it has"), "{note}");
                assert_eq!(note.contains("outcome of any tool call"), remembers, "{note}");
                assert_eq!(note.contains("do not have its conversation"), !remembers, "{note}");
            }
        }
    }

    #[test]
    fn an_agent_that_takes_up_another_task_is_not_told_that_it_was_interrupted() {
        for remembers in [true, false] {
            let past = Past { of_another_task: true, ..past(SAVED, remembers) };
            let note = past.note(Path::new("/work/x"));
            assert!(note.contains("/work/x") && !note.contains("interrupted"), "{note}");
            assert_eq!(note.contains("in the same conversation"), remembers, "{note}");
            assert_eq!(scripted::steps_in(&format!("say hello\n\n{note}")), 1, "{note}");
        }
    }

    #[test]
    fn a_note_claims_no_more_than_is_there() {
        let (same, saved, fresh) =
            (note(Workspace::Same, true), note(SAVED, true), note(Workspace::Fresh, true));
        assert!(same.contains("same working directory") && !saved.contains("same working directory"));
        assert!(
            saved.contains("17:46:40 UTC on 2030-03-17") && saved.contains("not the files that git ignores")
        );
        assert!(fresh.contains("nothing that you changed before"));
        assert!(!note(Workspace::Fresh, false).contains("build on"), "there is nothing to build on");
    }

    #[test]
    fn an_agent_that_waited_for_an_answer_was_not_interrupted() {
        for workspace in [Workspace::Same, SAVED, Workspace::Fresh] {
            let waited = Past { because: ENDED_ITS_TURN.into(), ..past(workspace, true) };
            let note = waited.note(Path::new("/work/x"));
            assert!(note.starts_with("You ended your turn to wait") && note.contains("/work/x"), "{note}");
            assert!(!note.contains("interrupted") && !note.contains("unknown"), "{note}");
            assert_eq!(scripted::steps_in(&format!("say hello\n\n{note}")), 1, "{note}");
        }
    }

    #[test]
    fn no_line_of_a_note_is_a_step_for_the_scripted_agent() {
        for workspace in [Workspace::Same, SAVED, Workspace::Fresh] {
            let prompt = format!("say hello\n\n{}", note(workspace, false));
            assert_eq!(scripted::steps_in(&prompt), 1, "{prompt}");
        }
    }

    #[test]
    fn people_read_it_in_a_line() {
        assert_eq!(
            past(SAVED, true).line(),
            "going on from attempt 00000000-0000-0000-0000-000000000001, which had ended: worker_lost: its worker \
             run away was not heard of any more; with the work saved at 17:46:40 UTC on 2030-03-17; the agent \
             resumes its conversation"
        );
    }
}
