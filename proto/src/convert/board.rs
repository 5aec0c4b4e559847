//! What is said on the message board, between the wire and the domain.

use factory_domain::MessageType;

use super::InvalidMessage;
use crate::v1;

impl From<MessageType> for v1::MessageType {
    fn from(kind: MessageType) -> Self {
        match kind {
            MessageType::Info => Self::Info,
            MessageType::Question => Self::Question,
            MessageType::Handoff => Self::Handoff,
            MessageType::Status => Self::Status,
            MessageType::Error => Self::Error,
        }
    }
}

impl From<v1::MessageType> for MessageType {
    fn from(kind: v1::MessageType) -> Self {
        match kind {
            v1::MessageType::Unspecified | v1::MessageType::Info => Self::Info,
            v1::MessageType::Question => Self::Question,
            v1::MessageType::Handoff => Self::Handoff,
            v1::MessageType::Status => Self::Status,
            v1::MessageType::Error => Self::Error,
        }
    }
}

/// Reads the types that a list is narrowed to.
pub fn message_types(numbers: &[i32]) -> Result<Vec<MessageType>, InvalidMessage> {
    let read = |&number| match v1::MessageType::try_from(number) {
        Ok(kind) if kind != v1::MessageType::Unspecified => Ok(kind.into()),
        _ => Err(InvalidMessage::invalid("types", format!("{number} is not a type of message"))),
    };
    numbers.iter().map(read).collect()
}
