//! What a key asks of the world outside the screen.

/// Carried out by the run loop; tasks, questions and workers by their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    Leave,
    /// Follows a task's log, from its last lines on.
    OpenLog {
        number: u64,
        task: String,
    },
    OpenDetails {
        number: u64,
        task: String,
    },
    OpenMessages,
    /// No page is looked at any more.
    ClosePage,
    Call(Call),
}

/// One call to the coordinator, and what it says to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// The open questions of a task, to answer one.
    ReadQuestions {
        task: String,
    },
    Answer {
        task: String,
        question: String,
        text: String,
    },
    Cancel {
        number: u64,
        task: String,
        with_children: bool,
    },
    Retry {
        number: u64,
        task: String,
    },
    Drain {
        worker: String,
        name: String,
    },
    Resume {
        worker: String,
        name: String,
    },
}
