//! What SQLite says, in the store's words.

use std::sync::Arc;

use crate::store::{ApplyError, StoreError, SubmitError};

/// SQLite's primary result codes, the low byte of an extended code (<https://www.sqlite.org/rescode.html>).
mod primary {
    pub const READONLY: u32 = 8;
    pub const CORRUPT: u32 = 11;
    pub const FULL: u32 = 13;
    pub const NOTADB: u32 = 26;
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolClosed => Self::Closed,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Corrupt(error.to_string()),
            sqlx::Error::Database(database) => match primary_code(database.as_ref()) {
                Some(primary::FULL) => Self::Full(Arc::new(error)),
                Some(primary::READONLY) => Self::ReadOnly(Arc::new(error)),
                Some(primary::CORRUPT | primary::NOTADB) => Self::Corrupt(database.message().to_owned()),
                _ => Self::Database(Arc::new(error)),
            },
            sqlx::Error::Io(io) if io.kind() == std::io::ErrorKind::StorageFull => {
                Self::Full(Arc::new(error))
            }
            _ => Self::Database(Arc::new(error)),
        }
    }
}

fn primary_code(error: &dyn sqlx::error::DatabaseError) -> Option<u32> {
    error.code()?.parse::<u32>().ok().map(|extended| extended & 0xff)
}

/// An error of one verb that may be the database's own.
pub(super) trait Failure: From<StoreError> + Send + 'static {
    fn of_the_store(&self) -> Option<&StoreError>;
}

impl Failure for StoreError {
    fn of_the_store(&self) -> Option<&StoreError> {
        Some(self)
    }
}

impl Failure for SubmitError {
    fn of_the_store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::KeyReused { .. } => None,
        }
    }
}

impl Failure for ApplyError {
    fn of_the_store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::NoSuchTask(_) | Self::Rejected(_) => None,
        }
    }
}
