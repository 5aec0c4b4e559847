//! `.worktreeinclude`: untracked files of a local repository that its tasks need too, such as `.env`.
//!
//! The file holds patterns as in `.gitignore`. A file is copied when it matches and is ignored by git,
//! so that nothing copied can end up in a commit by itself. Git does the matching.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::{Note, RepoError};
use crate::git::{Call, Git, GitError};

const LIST: &str = ".worktreeinclude";
const MAX_FILES: usize = 1000;
/// Bytes copied in all.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Copies from the local repository into the new worktree, and gives the paths copied. What cannot be
/// copied is told, and is no reason to give up the task.
pub(super) async fn copy(
    git: &Git,
    source: &Path,
    worktree: &Path,
    note: Note<'_>,
) -> Result<Vec<PathBuf>, RepoError> {
    if !source.join(LIST).is_file() {
        return Ok(Vec::new());
    }
    let wanted = match list(git, source).await {
        Ok(wanted) => wanted,
        Err(error) if error.is_cancelled() => {
            return Err(RepoError::Cancelled { repo: source.display().to_string() });
        }
        Err(error) => {
            note(format!("nothing was copied by {LIST}: {error}"));
            return Ok(Vec::new());
        }
    };
    let (from, to) = (source.to_owned(), worktree.to_owned());
    let copied = tokio::task::spawn_blocking(move || copy_all(&from, &to, wanted)).await;
    let copied = copied
        .map_err(|error| RepoError::Disk { path: worktree.to_owned(), cause: io::Error::other(error) })?;
    for (path, why) in &copied.left_out {
        note(format!("{LIST}: {} was not copied: {why}", path.display()));
    }
    if !copied.files.is_empty() {
        note(format!("copied by {LIST}: {}", names(&copied.files)));
    }
    Ok(copied.files)
}

/// Untracked files that match the list and are ignored.
async fn list(git: &Git, source: &Path) -> Result<Vec<PathBuf>, GitError> {
    let git = git.in_directory(source);
    let call = Call::new(["ls-files", "--others", "--ignored", "-z"]).arg(format!("--exclude-from={LIST}"));
    let matching = git.run(call).await?.stdout;
    if matching.is_empty() {
        return Ok(Vec::new());
    }
    let ignored = match git.run(Call::new(["check-ignore", "-z", "--stdin"]).stdin(matching)).await {
        Ok(answer) => answer.stdout,
        // Exit 1: none of them is ignored.
        Err(GitError::Failed { code: Some(1), .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(crate::git::paths(&ignored))
}

#[derive(Default)]
struct Copied {
    files: Vec<PathBuf>,
    left_out: Vec<(PathBuf, String)>,
}

fn copy_all(source: &Path, worktree: &Path, wanted: Vec<PathBuf>) -> Copied {
    let mut copied = Copied::default();
    let mut bytes = 0;
    for path in wanted {
        if copied.files.len() >= MAX_FILES || bytes >= MAX_BYTES {
            let why = format!("more than {MAX_FILES} files or {MAX_BYTES} bytes; the rest is left out too");
            copied.left_out.push((path, why));
            break;
        }
        match copy_one(source, worktree, &path, MAX_BYTES - bytes) {
            Ok(size) => {
                bytes += size;
                copied.files.push(path);
            }
            Err(error) => copied.left_out.push((path, error.to_string())),
        }
    }
    copied
}

/// Copies one regular file and its permissions. Neither end may lead through a symbolic link: the
/// repository's content is not trusted to say where files of this host are read or written.
fn copy_one(source: &Path, worktree: &Path, path: &Path, room: u64) -> io::Result<u64> {
    if path.components().any(|part| !matches!(part, Component::Normal(_))) {
        return Err(io::Error::other("its path leads outside the repository"));
    }
    require_no_links(source, path)?;
    let from = source.join(path);
    let metadata = fs::symlink_metadata(&from)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if metadata.len() > room {
        return Err(io::Error::other("it is too large"));
    }
    require_no_links(worktree, path)?;
    let to = worktree.join(path);
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut out = File::options().write(true).create_new(true).open(&to)?;
    let size = io::copy(&mut File::open(&from)?, &mut out)?;
    out.set_permissions(metadata.permissions())?;
    Ok(size)
}

fn require_no_links(root: &Path, path: &Path) -> io::Result<()> {
    let mut at = root.to_owned();
    for part in path.parent().into_iter().flat_map(Path::components) {
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(metadata) if !metadata.is_dir() => {
                return Err(io::Error::other(format!("{} is not a directory", at.display())));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn names(files: &[PathBuf]) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<String> = files.iter().take(SHOWN).map(|path| path.display().to_string()).collect();
    match files.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
