//! Messages that an agent posts by saying them: one JSON object on a line of its own among its words, for agents and
//! prompts that know no tools.
//!
//! Each is posted under a key made of its place in the attempt's log. So a log that is read again, by a daemon that
//! was restarted, posts nothing twice and leaves nothing out.

use factory_proto::v1;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::mcp::{Seat, Trouble};

/// `{"type":"message","to":"all","content":"…","message_type":"info"}`.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    Message {
        #[serde(default)]
        to: String,
        content: String,
        #[serde(default)]
        message_type: String,
    },
}

/// A message on its way to the board.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Post {
    /// Where it was said.
    key: String,
    message: v1::NewMessage,
}

/// Whether a printed line may hold such a message. Cheap: agents print a great deal.
pub(super) fn may_hold(line: &[u8]) -> bool {
    const NAME: &[u8] = b"content";
    const KIND: &[u8] = b"message";
    let holds = |wanted: &[u8]| line.windows(wanted.len()).any(|found| found == wanted);
    line.len() < (1 << 20) && holds(NAME) && holds(KIND)
}

/// The messages in what was said by the record at `offset`.
pub(super) fn posts<'t>(offset: u64, texts: impl IntoIterator<Item = &'t str>) -> Vec<Post> {
    let lines = texts.into_iter().flat_map(str::lines).map(str::trim);
    let said =
        lines.filter(|line| line.starts_with('{')).filter_map(|line| serde_json::from_str::<Said>(line).ok());
    said.enumerate()
        .map(|(index, said)| Post { key: format!("said-{offset}-{index}"), message: said.into() })
        .collect()
}

impl From<Said> for v1::NewMessage {
    fn from(said: Said) -> Self {
        let Said::Message { to, content, message_type } = said;
        let kind = match message_type.as_str() {
            "question" => v1::MessageType::Question,
            "handoff" => v1::MessageType::Handoff,
            "status" => v1::MessageType::Status,
            "error" => v1::MessageType::Error,
            _ => v1::MessageType::Info,
        };
        Self { to, r#type: kind.into(), content, ..Self::default() }
    }
}

/// Posts what comes, in its order, until nothing more can come: for as long as it takes while the agent runs, and
/// once more each after that. Returns how many could not be posted.
pub(super) async fn post_all(
    mut posts: mpsc::UnboundedReceiver<Post>,
    seat: &Seat,
    ended: &CancellationToken,
) -> usize {
    let mut lost = 0;
    while let Some(Post { key, message }) = posts.recv().await {
        loop {
            match seat.post(key.clone(), message.clone()).await {
                Ok(posted) => tracing::debug!(number = posted.number, "posted what the agent said"),
                Err(Trouble::Unreachable) if !ended.is_cancelled() => continue,
                Err(trouble) => {
                    tracing::warn!(%trouble, "what the agent said for others could not be posted");
                    lost += 1;
                }
            }
            break;
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_on_lines_of_their_own_and_named_by_their_place() {
        let text = "I found it.\n  {\"type\":\"message\",\"to\":\"task:7\",\"content\":\"Use port 81.\",\"message_type\":\"status\"}\n\
                    so {\"type\":\"message\",\"content\":\"not on a line of its own\"}\n{\"type\":\"other\",\"content\":\"x\"}\n\
                    {\"type\":\"message\",\"content\":\"And all.\"}";
        let found = posts(4, [text]);
        let said: Vec<_> = found
            .iter()
            .map(|post| {
                (
                    post.key.as_str(),
                    post.message.to.as_str(),
                    post.message.content.as_str(),
                    post.message.r#type(),
                )
            })
            .collect();
        assert_eq!(
            said,
            [
                ("said-4-0", "task:7", "Use port 81.", v1::MessageType::Status),
                ("said-4-1", "", "And all.", v1::MessageType::Info),
            ]
        );
    }

    #[test]
    fn most_lines_are_passed_over_unread() {
        assert!(!may_hold(b"cargo build"));
        assert!(!may_hold(br#"{"type":"system","subtype":"init"}"#));
        assert!(may_hold(br#"{"type":"message","content":"x"}"#));
    }
}
