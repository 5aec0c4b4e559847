//! Who agents can be, how their tasks are put to them, and what they do one after the other: roles, templates, workflows.
//!
//! The built-in ones come with this program. A user's own lie beside the coordinator's
//! state, in `<root>/roles`, `<root>/templates` and `<root>/workflows`, and go before built-in ones of the
//! same name. They are read again as soon as a file there is another, so nothing needs
//! a restart. A file that cannot be used takes nothing else with it, and is never passed over for the
//! built-in one of its name: whoever asks for it is told what is wrong with it, and where.

mod builtin;
mod definition;
mod file;
mod lookup;
mod problem;
mod role;
mod shelf;
mod template;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use definition::{Found, to_toml};
pub use lookup::Unusable;
pub use problem::Problem;
pub use role::Role;
pub use shelf::Shelf;
pub use template::{PLACEHOLDERS, Placeholders, Template, list_of};

use file::Stamp;

/// What is in the library of one root, as its files are whenever someone asks.
#[derive(Clone)]
pub struct Library(Arc<Inner>);

struct Inner {
    root: PathBuf,
    read: Mutex<Option<(Vec<Stamp>, Arc<Shelf>)>>,
}

impl Library {
    /// Reads what is there, and logs what is wrong with it.
    pub fn open(root: &Path) -> Self {
        let library = Self(Arc::new(Inner { root: root.to_owned(), read: Mutex::default() }));
        for problem in library.0.shelf().problems() {
            tracing::warn!("{problem}; `factoryctl templates check` says when it is well");
        }
        library
    }

    /// What is there now. Where no file has changed, nothing is read but the directories.
    /// `None`: the program is about to end.
    pub async fn shelf(&self) -> Option<Arc<Shelf>> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || inner.shelf()).await.ok()
    }
}

impl Inner {
    fn shelf(&self) -> Arc<Shelf> {
        let stamps = file::stamps(&self.root);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        match &*read {
            Some((seen, shelf)) if *seen == stamps => Arc::clone(shelf),
            _ => {
                let shelf = Arc::new(Shelf::of(file::read(&stamps)));
                *read = Some((stamps, Arc::clone(&shelf)));
                shelf
            }
        }
    }
}

#[cfg(test)]
mod tests;
