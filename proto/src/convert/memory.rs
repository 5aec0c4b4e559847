//! Kinds of memories, between the wire and the domain.

use factory_domain::MemoryKind;

use super::InvalidMessage;
use crate::v1;

impl From<MemoryKind> for v1::MemoryKind {
    fn from(kind: MemoryKind) -> Self {
        match kind {
            MemoryKind::Error => Self::Error,
            MemoryKind::Code => Self::Code,
            MemoryKind::Decision => Self::Decision,
            MemoryKind::Fact => Self::Fact,
            MemoryKind::Doc => Self::Doc,
        }
    }
}

impl From<v1::MemoryKind> for MemoryKind {
    fn from(kind: v1::MemoryKind) -> Self {
        match kind {
            v1::MemoryKind::Error => Self::Error,
            v1::MemoryKind::Code => Self::Code,
            v1::MemoryKind::Decision => Self::Decision,
            v1::MemoryKind::Unspecified | v1::MemoryKind::Fact => Self::Fact,
            v1::MemoryKind::Doc => Self::Doc,
        }
    }
}

/// Reads the kinds that a search or a list is narrowed to.
pub fn memory_kinds(numbers: &[i32]) -> Result<Vec<MemoryKind>, InvalidMessage> {
    let read = |&number| match v1::MemoryKind::try_from(number) {
        Ok(kind) if kind != v1::MemoryKind::Unspecified => Ok(kind.into()),
        _ => Err(InvalidMessage::invalid("kinds", format!("{number} is not a kind of memory"))),
    };
    numbers.iter().map(read).collect()
}
