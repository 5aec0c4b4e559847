//! Files the coordinator keeps of an attempt: reading them, and putting them
//! where the user wants them without trusting their names.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Component, Path, PathBuf};

use factory_proto::client::Client;
use factory_proto::v1;
use factory_proto::v1::ArtifactKind;

use crate::exit::CommandError;
use crate::render::plain;

/// The last attempt that left something of this kind.
pub fn latest_with(attempts: &[v1::Attempt], kind: ArtifactKind) -> Option<&v1::Attempt> {
    let has = |attempt: &&v1::Attempt| attempt.artifacts.iter().any(|artifact| artifact.kind() == kind);
    attempts.iter().rev().find(has)
}

/// What is said where an artifact of this kind was kept, and is no longer.
pub fn removed(attempts: &[v1::Attempt], kind: ArtifactKind) -> Option<CommandError> {
    let removed = attempts.iter().rev().flat_map(|attempt| &attempt.removed);
    let removed = removed.into_iter().find(|removed| removed.kind() == kind)?;
    Some(CommandError::NotFound(plain::line(&removed.message)))
}

/// Hands the content to `take`, piece by piece.
pub async fn read(
    client: &Client,
    request: v1::ReadArtifactRequest,
    mut take: impl FnMut(&[u8]) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let mut pieces = client.tasks().read_artifact(request).await?.into_inner();
    while let Some(piece) = pieces.message().await? {
        take(&piece.data)?;
    }
    Ok(())
}

/// Writes the content to `path`, all of it or nothing.
pub async fn save(
    client: &Client,
    request: v1::ReadArtifactRequest,
    path: &Path,
) -> Result<(), CommandError> {
    let cannot = || format!("cannot write {}", path.display());
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(CommandError::local(cannot()))?;
    read(client, request, |piece| file.write_all(piece).map_err(CommandError::local(cannot()))).await?;
    // Renaming replaces a link that lies there; it does not follow it.
    let file: File = file.persist(path).map_err(|error| CommandError::local(cannot())(error.error))?;
    readable_as_usual(&file).map_err(CommandError::local(cannot()))
}

/// Temporary files are for their owner alone; what was asked for is an ordinary file.
fn readable_as_usual(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

/// Where the file called `name` belongs under `root`, its directories made.
/// A name that would lead elsewhere, by itself or through a link, is refused.
pub fn place(root: &Path, name: &str) -> Result<PathBuf, CommandError> {
    let refused = || CommandError::Refused(format!("the file name {name:?} leads out of {}", root.display()));
    let relative = Path::new(name);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || name.is_empty() || name.contains('\0') {
        return Err(refused());
    }
    let cannot = || format!("cannot make a directory for {name}");
    let target = root.join(relative);
    let parent = target.parent().unwrap_or(root);
    fs::create_dir_all(root).map_err(CommandError::local(cannot()))?;
    // Step by step, so that nothing is made behind a link before it is seen.
    let mut at = root.to_path_buf();
    for part in parent.strip_prefix(root).map_err(|_| refused())?.components() {
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(refused()),
            Err(_) => fs::create_dir(&at).map_err(CommandError::local(cannot()))?,
        }
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_directory() {
        let root = tempfile::tempdir().expect("a directory");
        let elsewhere = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::symlink(elsewhere.path(), root.path().join("link")).expect("a link");
        for hostile in ["../x", "/etc/x", "a/../../x", "", ".", "a\0b", "link/x", "link/deep/x"] {
            assert!(place(root.path(), hostile).is_err(), "{hostile:?} was accepted");
        }
        assert_eq!(fs::read_dir(elsewhere.path()).expect("readable").count(), 0);
        let path = place(root.path(), "a/b/c.txt").expect("a plain name");
        assert_eq!(path, root.path().join("a/b/c.txt"));
        assert!(root.path().join("a/b").is_dir());
    }
}
