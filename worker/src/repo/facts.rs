//! What a clone tells people who look at it: where it is from, when it was brought up to date, what it has.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use factory_domain::{RepoSource, Timestamp};
use tokio_util::sync::CancellationToken;

use super::sync::{Looked, RemoteHead};
use super::{Cache, RepoError, require_on_this_host};
use crate::blocking;
use crate::git::{Call, Git, GitError, without_credentials};

/// Its time is that of the last fetch that went through.
const FETCHED: &str = "factory-fetched";
/// What the last fetch failed of; not there where it did not.
const ERROR: &str = "factory-fetch-error";
/// More of it is of no use to anybody.
const MAX_ERROR: usize = 2000;

/// A clone, or a remote that was only looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CloneFacts {
    /// What it was cloned from, without credentials.
    pub source: String,
    /// `None`: it was not fetched by a release that writes it down.
    pub fetched_at: Option<Timestamp>,
    /// As the remote said last; empty: it has none.
    pub default_branch: String,
    /// Full id of the default branch's commit; empty: there is none.
    pub head: String,
    /// What the last fetch failed of; empty: it did not.
    pub error: String,
}

impl Cache {
    /// Asks a remote whether it is there and may be read. Nothing is cloned.
    pub async fn look(
        &self,
        source: &RepoSource,
        token: &CancellationToken,
    ) -> Result<CloneFacts, RepoError> {
        require_on_this_host(source)?;
        let repository = self.repository(source);
        let looked = repository.look(&self.git.until(token)).await;
        let Looked { head, commit } =
            looked.map_err(|error| RepoError::from_git(&repository.label, error))?;
        let default_branch = match head {
            RemoteHead::Branch(branch) => branch,
            RemoteHead::Detached(_) | RemoteHead::Unborn => String::new(),
        };
        let (source, head) = (shown(&repository.label), commit.unwrap_or_default());
        Ok(CloneFacts { source, default_branch, head, ..CloneFacts::default() })
    }

    /// Brings the clone up to date; makes one where there is none.
    pub async fn fetch(
        &self,
        source: &RepoSource,
        token: &CancellationToken,
    ) -> Result<CloneFacts, RepoError> {
        let repository = self.repository(source);
        let ticket = repository.ticket();
        require_on_this_host(source)?;
        self.make_directory().await?;
        let git = self.git.until(token);
        let (mut synced, _lock) = tokio::select! {
            locked = repository.lock() => locked?,
            () = token.cancelled() => return Err(RepoError::Cancelled { repo: repository.label.clone() }),
        };
        repository.bring_up_to_date(&mut synced, ticket, &git, &|_| {}).await?;
        let facts = self.facts(&repository.path).await;
        facts.map_err(|error| RepoError::from_git(&repository.label, error))
    }

    /// The source of which there is a clone here, where it was named as it is shown: a login is no part of that, and
    /// git needs it. Any other stays as it is.
    pub async fn as_cloned(&self, source: RepoSource) -> Result<RepoSource, RepoError> {
        let disk = |cause| RepoError::Disk { path: self.directory.clone(), cause };
        if self.clone_path(&source).try_exists().map_err(disk)? {
            return Ok(source);
        }
        let wanted = shown(&source.remote());
        for clone in self.clones().map_err(disk)? {
            if shown(text(&clone.join("description")).map_err(disk)?.trim()) != wanted {
                continue;
            }
            let call = Call::new(["config", "--get", "remote.origin.url"]);
            let url = self.git.in_repository(&clone).run(call).await.map(|answer| answer.line());
            let cloned = url.ok().and_then(|url| RepoSource::parse(&url).ok());
            // Agents can write there; but no other source has a clone of this name.
            if let Some(cloned) = cloned.filter(|cloned| self.clone_path(cloned) == clone) {
                return Ok(cloned);
            }
        }
        Ok(source)
    }

    /// The clone of a source, whether or not it is there.
    pub(crate) fn clone_path(&self, source: &RepoSource) -> PathBuf {
        self.repository(source).path.clone()
    }

    /// What there is to say of a clone on disk. Nothing is asked of its remote.
    pub(crate) async fn facts(&self, clone: &Path) -> Result<CloneFacts, GitError> {
        let head = self.default_branch(&self.git.in_repository(clone)).await?;
        let (default_branch, head) = head.unwrap_or_default();
        let path = clone.to_owned();
        let read = blocking::run(move || read(&path)).await.map_err(GitError::io("clone"))?;
        Ok(CloneFacts { default_branch, head, ..read })
    }

    /// Its name and its commit.
    async fn default_branch(&self, git: &Git) -> Result<Option<(String, String)>, GitError> {
        let call = Call::new(["for-each-ref", "--format=%(symref:lstrip=3) %(objectname)"]);
        let answer = git.run(call.arg("refs/remotes/origin/HEAD")).await?.line();
        Ok(answer.split_once(' ').map(|(branch, commit)| (branch.to_owned(), commit.to_owned())))
    }
}

fn read(clone: &Path) -> io::Result<CloneFacts> {
    let fetched_at = match fs::metadata(clone.join(FETCHED)).and_then(|metadata| metadata.modified()) {
        Ok(time) => Some(timestamp(time)),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    // Either may be anything: agents can write there.
    let source = shown(text(&clone.join("description"))?.trim());
    let error = without_credentials(text(&clone.join(ERROR))?.trim());
    Ok(CloneFacts { source, fetched_at, error, ..CloneFacts::default() })
}

fn text(path: &Path) -> io::Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(bytes.get(..MAX_ERROR).unwrap_or(&bytes)).into_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// Writes down what came of a fetch.
pub(super) async fn remember_fetch(clone: &Path, error: Option<String>) -> io::Result<()> {
    let clone = clone.to_owned();
    blocking::run(move || match error {
        Some(error) => fs::write(clone.join(ERROR), error),
        None => {
            File::options()
                .create(true)
                .append(true)
                .open(clone.join(FETCHED))?
                .set_modified(SystemTime::now())?;
            match fs::remove_file(clone.join(ERROR)) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        }
    })
    .await
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
    Timestamp::from_millis(i64::try_from(since).unwrap_or(i64::MAX))
}

/// A source as it may be shown and compared: a login is no part of it.
pub(crate) fn shown(label: &str) -> String {
    without_credentials(label).replace("://***@", "://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_shown_without_a_login() {
        assert_eq!(shown("https://***@h.example/a.git"), "https://h.example/a.git");
        assert_eq!(shown("https://token@h.example/a.git"), "https://h.example/a.git");
        assert_eq!(shown("ssh://git@h/a"), "ssh://git@h/a");
        assert_eq!(shown("/srv/a"), "/srv/a");
    }
}
