//! Workspaces as directories: that of a task without a repository, the files it leaves, and removal.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::blocking;

/// Files kept of one workspace, in number and in bytes together.
pub const MAX_FILES: usize = 200;
pub const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// What a task without a repository left in its workspace.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FilesLeft {
    /// In the order of their paths.
    pub files: Vec<FileLeft>,
    /// Files beyond the bounds, symbolic links and special files.
    pub left_out: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileLeft {
    /// Relative to the workspace.
    pub path: PathBuf,
    pub bytes: u64,
}

/// Makes an empty workspace.
pub async fn create(path: &Path) -> io::Result<()> {
    let path = path.to_owned();
    blocking::run(move || fs::create_dir_all(path)).await
}

/// Lists the regular files in a workspace, smallest paths first, within the bounds. Symbolic links are
/// not followed but counted as left out: they could lead anywhere on the host.
pub async fn files_left(path: &Path) -> io::Result<FilesLeft> {
    let root = path.to_owned();
    blocking::run(move || list(&root)).await
}

fn list(root: &Path) -> io::Result<FilesLeft> {
    let mut found = Vec::new();
    let mut left = FilesLeft::default();
    let mut pending = vec![PathBuf::new()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(root.join(&directory))? {
            let entry = entry?;
            let path = directory.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                pending.push(path);
            } else if kind.is_file() {
                found.push(FileLeft { path, bytes: entry.metadata()?.len() });
            } else {
                left.left_out += 1;
            }
        }
    }
    found.sort();
    let mut room = MAX_BYTES;
    for file in found {
        if left.files.len() < MAX_FILES && file.bytes <= room {
            room -= file.bytes;
            left.files.push(file);
        } else {
            left.left_out += 1;
        }
    }
    Ok(left)
}

/// Removes a directory with all that is in it. Nothing there is no error.
pub async fn remove(path: PathBuf) -> io::Result<()> {
    blocking::run(move || remove_tree(&path)).await
}

/// Package managers leave directories without write permission behind (Go's module cache does); those
/// are opened up and tried once more.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let removed = match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            fs::remove_dir_all(path)
        }
        removed => removed,
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn open_up(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_are_listed_by_path_and_links_are_counted_but_not_followed() {
        let root = tempfile::tempdir().expect("a directory");
        let workspace = root.path().join("w");
        create(&workspace).await.expect("created");
        fs::create_dir(workspace.join("b")).expect("a directory");
        fs::write(workspace.join("b/two\nlines.txt"), "22").expect("written");
        fs::write(workspace.join("a.txt"), "1").expect("written");
        std::os::unix::fs::symlink("/etc/passwd", workspace.join("link")).expect("linked");
        std::os::unix::fs::symlink("/etc", workspace.join("dir")).expect("linked");

        let left = files_left(&workspace).await.expect("listed");
        let expected = [("a.txt", 1), ("b/two\nlines.txt", 2)];
        let expected = expected.map(|(path, bytes)| FileLeft { path: path.into(), bytes });
        assert_eq!(left, FilesLeft { files: expected.to_vec(), left_out: 2 });
    }

    #[tokio::test]
    async fn what_is_beyond_the_bounds_is_counted() {
        let root = tempfile::tempdir().expect("a directory");
        for n in 0..MAX_FILES + 3 {
            fs::write(root.path().join(format!("{n}")), "").expect("written");
        }
        let left = files_left(root.path()).await.expect("listed");
        assert_eq!((left.files.len(), left.left_out), (MAX_FILES, 3));
    }

    #[tokio::test]
    async fn removal_opens_closed_directories_and_may_be_repeated() {
        let root = tempfile::tempdir().expect("a directory");
        let workspace = root.path().join("w");
        fs::create_dir_all(workspace.join("closed/inner")).expect("made");
        fs::write(workspace.join("closed/inner/file"), "x").expect("written");
        fs::set_permissions(workspace.join("closed"), Permissions::from_mode(0o500)).expect("closed");
        remove(workspace.clone()).await.expect("removed");
        assert!(!workspace.exists());
        remove(workspace).await.expect("nothing to remove is fine");
    }
}
