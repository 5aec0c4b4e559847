//! What SQLite says, in the store's words.

use std::path::Path;
use std::sync::Arc;

use crate::store::workflow::StartError;
use crate::store::{
    AnswerError, ApplyError, AskError, CancelError, CheckpointError, StoreError, SubmitError,
};

/// SQLite's primary result codes, the low byte of an extended code (<https://www.sqlite.org/rescode.html>).
mod primary {
    pub const READONLY: u32 = 8;
    pub const CORRUPT: u32 = 11;
    pub const FULL: u32 = 13;
    pub const NOTADB: u32 = 26;
}

/// The index of the write-ahead log could not grow: SQLite's word for it is an I/O error, its cause a full disk.
const IOERR_SHMSIZE: u32 = 10 | 19 << 8;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolClosed => Self::Closed,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Corrupt(error.to_string()),
            sqlx::Error::Database(database) => match extended_code(database.as_ref()) {
                Some(IOERR_SHMSIZE) => Self::full(error),
                Some(code) => Self::of_code(code & 0xff, error),
                None => Self::Database(Arc::new(error)),
            },
            sqlx::Error::Io(io) if io.kind() == std::io::ErrorKind::StorageFull => Self::full(error),
            _ => Self::Database(Arc::new(error)),
        }
    }
}

impl StoreError {
    /// SQLite does not say which file; see [`Failure::of_database`].
    fn full(error: sqlx::Error) -> Self {
        Self::Full { database: Path::new("the database").into(), source: Arc::new(error) }
    }

    fn of_code(code: u32, error: sqlx::Error) -> Self {
        match code {
            primary::FULL => Self::full(error),
            primary::READONLY => Self::ReadOnly(Arc::new(error)),
            primary::CORRUPT | primary::NOTADB => {
                let said = error.as_database_error().map(|database| database.message().to_owned());
                Self::Corrupt(said.unwrap_or_else(|| error.to_string()))
            }
            _ => Self::Database(Arc::new(error)),
        }
    }
}

fn extended_code(error: &dyn sqlx::error::DatabaseError) -> Option<u32> {
    error.code()?.parse().ok()
}

/// An error of one verb that may be the database's own.
pub(super) trait Failure: From<StoreError> + Send + 'static {
    fn of_the_store(&self) -> Option<&StoreError>;
    fn of_the_store_mut(&mut self) -> Option<&mut StoreError>;

    /// The same, with the name of the database's file where there is no room for it.
    fn of_database(mut self, path: &Arc<Path>) -> Self {
        if let Some(StoreError::Full { database, .. }) = self.of_the_store_mut() {
            *database = Arc::clone(path);
        }
        self
    }
}

impl Failure for StoreError {
    fn of_the_store(&self) -> Option<&StoreError> {
        Some(self)
    }

    fn of_the_store_mut(&mut self) -> Option<&mut StoreError> {
        Some(self)
    }
}

impl Failure for SubmitError {
    fn of_the_store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::KeyReused { .. } | Self::TooDeep { .. } | Self::TooManyChildren { .. } => None,
        }
    }

    fn of_the_store_mut(&mut self) -> Option<&mut StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::KeyReused { .. } | Self::TooDeep { .. } | Self::TooManyChildren { .. } => None,
        }
    }
}

impl Failure for CancelError {
    fn of_the_store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::NoSuchTask(_) => None,
        }
    }

    fn of_the_store_mut(&mut self) -> Option<&mut StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::NoSuchTask(_) => None,
        }
    }
}

impl Failure for StartError {
    fn of_the_store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::KeyReused { .. } => None,
        }
    }

    fn of_the_store_mut(&mut self) -> Option<&mut StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::KeyReused { .. } => None,
        }
    }
}

impl Failure for CheckpointError {
    fn of_the_store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::NotYours(_) | Self::FileMissing { .. } => None,
        }
    }

    fn of_the_store_mut(&mut self) -> Option<&mut StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::NotYours(_) | Self::FileMissing { .. } => None,
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

    fn of_the_store_mut(&mut self) -> Option<&mut StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::NoSuchTask(_) | Self::Rejected(_) => None,
        }
    }
}

impl Failure for AskError {
    fn of_the_store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::NotYours(_) => None,
        }
    }

    fn of_the_store_mut(&mut self) -> Option<&mut StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::NotYours(_) => None,
        }
    }
}

impl Failure for AnswerError {
    fn of_the_store(&self) -> Option<&StoreError> {
        if let Self::Store(error) = self { Some(error) } else { None }
    }

    fn of_the_store_mut(&mut self) -> Option<&mut StoreError> {
        if let Self::Store(error) = self { Some(error) } else { None }
    }
}
