//! Looking into the library.

use std::sync::Arc;

use super::{App, Error};
use crate::library::{Shelf, Unusable};

impl App {
    /// Roles and templates as their files are now.
    pub async fn shelf(&self) -> Result<Arc<Shelf>, Error> {
        self.library.shelf().await.ok_or(Error::Stopping)
    }
}

impl From<Unusable> for Error {
    fn from(error: Unusable) -> Self {
        Self::Library(error)
    }
}
