//! What artifacts there are on disk, and their removal.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use factory_domain::AttemptId;

use super::upload::blocking;
use super::{ArtifactError, ArtifactStore};
use crate::store::ArtifactKey;

/// The directory of one attempt's artifacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Folder {
    pub attempt: AttemptId,
    pub files: u32,
    pub bytes: u64,
}

/// A file that is none of those named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnamed {
    pub path: PathBuf,
    pub bytes: u64,
    /// It is where an attempt's bundle of commits would be.
    pub is_bundle: bool,
}

impl ArtifactStore {
    /// Every attempt's directory, in no order. What has another name than one is none of ours.
    pub async fn folders(&self) -> Result<Vec<Folder>, ArtifactError> {
        let root = self.root.clone();
        blocking(move || {
            let mut found = Vec::new();
            for entry in fs::read_dir(&root).map_err(ArtifactError::io("list", &root))? {
                let entry = entry.map_err(ArtifactError::io("list", &root))?;
                let named = entry.file_name().to_str().and_then(|name| name.parse().ok());
                let Some(attempt) = named else { continue };
                let files = files_under(&entry.path())?;
                let bytes = files.iter().map(|(_, bytes)| bytes).sum();
                found.push(Folder { attempt, files: u32::try_from(files.len()).unwrap_or(u32::MAX), bytes });
            }
            Ok(found)
        })
        .await
    }

    /// Those of `keys` whose file is not there.
    pub async fn missing(&self, keys: Vec<ArtifactKey>) -> Result<Vec<ArtifactKey>, ArtifactError> {
        let store = self.clone();
        blocking(move || {
            let mut missing = Vec::new();
            for key in keys {
                let path = store.path(key.attempt, key.kind, &key.name);
                if !path.try_exists().map_err(ArtifactError::io("look for", &path))? {
                    missing.push(key);
                }
            }
            Ok(missing)
        })
        .await
    }

    /// The attempt's files that none of `named` is kept in.
    pub async fn unnamed(
        &self,
        attempt: AttemptId,
        named: Vec<ArtifactKey>,
    ) -> Result<Vec<Unnamed>, ArtifactError> {
        let store = self.clone();
        blocking(move || {
            let named: HashSet<PathBuf> =
                named.iter().map(|key| store.path(key.attempt, key.kind, &key.name)).collect();
            let folder = store.folder(attempt);
            let bundle = folder.join(super::BUNDLE);
            let files = files_under(&folder)?.into_iter().filter(|(path, _)| !named.contains(path));
            Ok(files.map(|(path, bytes)| Unnamed { is_bundle: path == bundle, path, bytes }).collect())
        })
        .await
    }

    /// Removes the files of `keys`; one that is not there is as good as removed.
    pub async fn remove(&self, keys: Vec<ArtifactKey>) -> Result<(), ArtifactError> {
        let paths = keys.iter().map(|key| self.path(key.attempt, key.kind, &key.name));
        self.remove_files(paths.collect()).await
    }

    pub async fn remove_files(&self, paths: Vec<PathBuf>) -> Result<(), ArtifactError> {
        let root = self.root.clone();
        blocking(move || {
            for path in paths {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    removed => removed.map_err(ArtifactError::io("remove", &path))?,
                }
                remove_if_empty(&path, &root);
            }
            Ok(())
        })
        .await
    }
}

/// Removes the directories above `path` that nothing is left in.
fn remove_if_empty(path: &Path, root: &Path) {
    // One that is not empty does not go, which is the end of it.
    let above = path.ancestors().skip(1).take_while(|dir| *dir != root);
    let _ = above.map(fs::remove_dir).take_while(Result::is_ok).last();
}

/// The files in `dir` and below, with their sizes in bytes; none where there is no such directory.
fn files_under(dir: &Path) -> Result<Vec<(PathBuf, u64)>, ArtifactError> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(ArtifactError::io("list", &dir))?,
        };
        for entry in entries {
            let entry = entry.map_err(ArtifactError::io("list", &dir))?;
            let path = entry.path();
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => dirs.push(path),
                Ok(metadata) => found.push((path, metadata.len())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(ArtifactError::io("look at", &path)(error)),
            }
        }
    }
    Ok(found)
}
