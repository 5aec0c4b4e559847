//! In which repository a task of a batch works, and where in it.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::entry::Entry;
use crate::exit::CommandError;
use crate::repository::{self, Asked};

/// An absolute directory names the repository it lies in; any other lies in the task's own.
pub fn settle_directory(entry: &mut Entry) -> Result<(), String> {
    let Some(directory) = entry.directory.take() else { return Ok(()) };
    if !directory.starts_with('/') {
        entry.directory = inside(Path::new(&directory));
        return Ok(());
    }
    if entry.repo.is_some() {
        return Err(format!(
            "directory: {directory} is absolute, and `repo` is given as well; leave one out"
        ));
    }
    let (top, rest) = repository::containing(Path::new(&directory))
        .ok_or_else(|| format!("directory: {directory} is not in a git repository"))?;
    entry.repo = Some(top.to_str().ok_or_else(|| format!("directory: {directory} is not UTF-8"))?.to_owned());
    entry.directory = inside(&rest);
    Ok(())
}

/// Relative to the root, without `./`; the root itself is nothing. `..` stays, and is refused by the spec.
fn inside(path: &Path) -> Option<String> {
    let path: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    path.to_str().filter(|path| !path.is_empty()).map(str::to_owned)
}

/// The repositories of a batch: each is looked at once.
#[derive(Debug, Default)]
pub struct Repositories {
    chosen: HashMap<(Option<String>, Option<String>), Result<String, String>>,
    pub warnings: Vec<String>,
}

impl Repositories {
    /// The repository of an entry, as it is sent; empty where it has none.
    pub fn of(&mut self, entry: &Entry, directory: &Path) -> Result<String, String> {
        if entry.repo.is_none() && entry.no_repo == Some(true) {
            return Ok(String::new());
        }
        let key = (entry.repo.clone(), entry.base.clone());
        if let Some(chosen) = self.chosen.get(&key) {
            return chosen.clone();
        }
        let asked = Asked { repo: entry.repo.as_deref(), no_repo: false, base: entry.base.as_deref() };
        let chosen = match repository::choose(asked, directory) {
            Ok(None) => Ok(String::new()),
            Ok(Some(chosen)) => {
                let repo = &chosen.repo;
                self.warnings.extend(chosen.warnings.iter().map(|warning| format!("{repo}: {warning}")));
                Ok(chosen.repo)
            }
            Err(error) => Err(field_of_flag(&error)),
        };
        self.chosen.insert(key, chosen.clone());
        chosen
    }
}

/// In a file a field is not written as an option.
fn field_of_flag(error: &CommandError) -> String {
    let text = error.to_string();
    text.strip_prefix("--").map_or_else(|| text.clone(), str::to_owned)
}
