//! Identifiers. Every id is a UUIDv7, minted at the edge and only carried here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text given where an id was expected is not a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what} id (a UUID was expected)")]
pub struct InvalidId {
    what: &'static str,
    text: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }

            /// The sixteen bytes as the store keeps them; their order is the order of creation.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            pub fn from_slice(bytes: &[u8]) -> Result<Self, InvalidId> {
                Uuid::from_slice(bytes)
                    .map(Self)
                    .map_err(|_| InvalidId { what: $what, text: format!("{bytes:02x?}") })
            }

            /// The last eight hex digits: the random end, so that two ids made
            /// in the same second still read apart.
            pub fn short(&self) -> String {
                let text = self.0.simple().to_string();
                text[text.len() - 8..].to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text)
                    .map(Self)
                    .map_err(|_| InvalidId { what: $what, text: text.to_owned() })
            }
        }
    };
}

id!(
    /// One task, from its submit to its end.
    TaskId, "a task"
);
id!(
    /// One try at a task. With the task it fences every write a worker makes.
    AttemptId, "an attempt"
);
id!(
    /// One worker host; kept on its disk, the same across restarts.
    WorkerId, "a worker"
);
id!(
    /// One start of a worker process.
    SessionId, "a session"
);
id!(
    /// Something an agent asked a person.
    QuestionId, "a question"
);
id!(
    /// One post on the message board.
    MessageId, "a message"
);
id!(
    /// What one task gives another.
    HandoffId, "a handoff"
);
id!(
    /// Something learned that later tasks are told.
    MemoryId, "a memory"
);
id!(
    /// One run of a workflow.
    WorkflowId, "a workflow"
);
