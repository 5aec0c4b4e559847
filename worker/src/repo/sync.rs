//! One bare clone: made once, fetched once per need.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use super::lock::RepositoryLock;
use super::{Note, RepoError, facts, registry};
use crate::git::{Call, Git, GitError, without_credentials};

/// Keeps the commit of a remote's detached `HEAD`, which no branch may lead to.
pub(super) const DETACHED_HEAD: &str = "refs/factory/head";

/// How long a remote may take to say what it has. It is asked before anything is made of it.
const LOOK_WITHIN: Duration = Duration::from_secs(60);

/// A request's place in the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

#[derive(Debug)]
pub(super) struct Repository {
    pub remote: String,
    /// The remote for messages, without credentials.
    pub label: String,
    pub path: PathBuf,
    tickets: AtomicU64,
    synced: Mutex<Synced>,
}

/// What the last fetch found.
#[derive(Debug, Default)]
pub(super) struct Synced {
    /// The first ticket not given out when that fetch began: those before it saw it all. `None`: there
    /// was no fetch since the worker's start.
    through: Option<Ticket>,
    pub head: RemoteHead,
    /// Neither the user nor the repository says who commits.
    pub identity_missing: bool,
}

/// The remote's default branch.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) enum RemoteHead {
    Branch(String),
    /// A commit of no branch, kept under [`DETACHED_HEAD`]; with the remote's answer that named it.
    Detached(String),
    #[default]
    Unborn,
}

/// What a remote says of itself when it is asked for its `HEAD`.
#[derive(Debug)]
pub(super) struct Looked {
    pub head: RemoteHead,
    /// Full id of the commit; `None`: there is none yet.
    pub commit: Option<String>,
}

impl Looked {
    /// Reads `git ls-remote --symref REMOTE HEAD`.
    fn read(answer: &str) -> Self {
        let symref = answer.lines().find_map(|line| line.strip_prefix("ref: refs/heads/"));
        let mut commits = answer.lines().filter_map(|line| line.strip_suffix("\tHEAD"));
        let commit = commits.find(|name| !name.starts_with("ref: ")).map(str::to_owned);
        let head = match symref.and_then(|line| line.split('\t').next()) {
            Some(branch) => RemoteHead::Branch(branch.to_owned()),
            None if answer.is_empty() => RemoteHead::Unborn,
            None => RemoteHead::Detached(answer.to_owned()),
        };
        Self { head, commit }
    }
}

impl Repository {
    pub fn new(remote: String, path: PathBuf) -> Self {
        let label = without_credentials(&remote);
        Self { remote, label, path, tickets: AtomicU64::new(0), synced: Mutex::default() }
    }

    /// Taken when a request arrives, before it waits for anything.
    pub fn ticket(&self) -> Ticket {
        Ticket(self.tickets.fetch_add(1, Ordering::Relaxed))
    }

    /// The right to change the clone, in this process and among others on the same root.
    pub async fn lock(&self) -> Result<(MutexGuard<'_, Synced>, RepositoryLock), RepoError> {
        let synced = self.synced.lock().await;
        let locked = RepositoryLock::acquire(&self.path).await;
        let locked = locked.and_then(|lock| lock.mark_used().map(|()| lock));
        match locked {
            Ok(lock) => Ok((synced, lock)),
            Err(cause) => Err(RepoError::Disk { path: self.path.clone(), cause }),
        }
    }

    /// Clones or fetches, unless a fetch that began after the ticket was taken has done it already.
    pub async fn bring_up_to_date(
        &self,
        synced: &mut Synced,
        ticket: Ticket,
        git: &Git,
        note: Note<'_>,
    ) -> Result<(), RepoError> {
        if synced.through.is_some_and(|through| ticket < through) {
            return Ok(());
        }
        let through = Some(Ticket(self.tickets.load(Ordering::Relaxed)));
        let known = self.path.try_exists();
        let known = known.map_err(|cause| RepoError::Disk { path: self.path.clone(), cause })?;
        let transferred = if known {
            let (fetched, looked) = tokio::join!(self.fetch_past_locks(git), self.look(git));
            fetched.and(looked)
        } else {
            self.clone_what_is_there(git, note).await
        };
        let transferred = transferred.map_err(|error| RepoError::from_git(&self.label, error));
        if known || transferred.is_ok() {
            self.remember_fetch(transferred.as_ref().err()).await;
        }
        let head = transferred?.head;
        let settle = async {
            if head != synced.head {
                self.follow_head(&head, git).await?;
            }
            if synced.through.is_none() {
                registry::forget_gone(&git.in_repository(&self.path)).await?;
            }
            self.identity_missing(git).await
        };
        let identity_missing = settle.await.map_err(|error| RepoError::from_git(&self.label, error))?;
        *synced = Synced { through, head, identity_missing };
        Ok(())
    }

    /// Looks first: what is not there, or may not be read, costs no clone and says so at once.
    async fn clone_what_is_there(&self, git: &Git, note: Note<'_>) -> Result<Looked, GitError> {
        let looked = self.look(git).await?;
        note(format!("cloning {}", self.label));
        self.clone_into_place(git).await.map(|()| looked)
    }

    /// Writes down in the clone what came of a fetch, for people who look at it later.
    async fn remember_fetch(&self, error: Option<&RepoError>) {
        if error.is_some_and(RepoError::is_cancelled) {
            return;
        }
        let error = error.map(RepoError::to_string);
        if let Err(error) = facts::remember_fetch(&self.path, error).await {
            tracing::warn!(%error, clone = %self.path.display(), "what came of a fetch cannot be written down");
        }
    }

    /// Clones beside the final place and renames, so that a crash leaves nothing that looks whole.
    async fn clone_into_place(&self, git: &Git) -> Result<(), GitError> {
        let temporary = self.path.with_extension("tmp");
        remove_dir_if_any(&temporary).await.map_err(GitError::io("clone"))?;
        // Not `--bare`: the remote's branches are to be `origin/…`, apart from those of the tasks. The
        // objects of a local repository are hard-linked, never borrowed: its own gc could drop them.
        let call = Call::new(["clone", "--quiet", "--no-checkout", "--template=", "--origin=origin"])
            .arg("--config=gc.auto=0")
            .arg("--config=maintenance.auto=false")
            .arg("--config=extensions.worktreeConfig=true")
            .arg("--")
            .arg(&self.remote)
            .arg(&temporary)
            .over_network();
        let cloned = match git.run(call).await {
            Ok(_) => self.finish_clone(&temporary.join(".git"), git).await,
            Err(error) => Err(error),
        };
        remove_dir_if_any(&temporary).await.map_err(GitError::io("clone"))?;
        cloned
    }

    /// Turns the fresh clone's git directory into a bare repository without branches of its own.
    async fn finish_clone(&self, git_dir: &Path, git: &Git) -> Result<(), GitError> {
        let git = git.in_repository(git_dir);
        // With settings of their own for worktrees, `core.bare` must not be seen by them.
        git.run(Call::new(["config", "--unset", "core.bare"])).await?;
        let bare = "[core]\n\tbare = true\n";
        tokio::fs::write(git_dir.join("config.worktree"), bare).await.map_err(GitError::io("clone"))?;
        let branches =
            git.run(Call::new(["for-each-ref", "--format=delete %(refname)", "refs/heads"])).await?;
        if !branches.stdout.is_empty() {
            git.run(Call::new(["update-ref", "--stdin"]).stdin(branches.stdout)).await?;
        }
        tokio::fs::create_dir_all(git_dir.join("info")).await.map_err(GitError::io("clone"))?;
        tokio::fs::write(git_dir.join("description"), format!("{}\n", self.label))
            .await
            .map_err(GitError::io("clone"))?;
        tokio::fs::rename(git_dir, &self.path).await.map_err(GitError::io("clone"))
    }

    async fn fetch(&self, git: &Git) -> Result<(), GitError> {
        // By address, not by name: the clone's configuration is in reach of every agent.
        let call = Call::new(["fetch", "--quiet", "--prune", "--tags", "--force", "--no-write-fetch-head"])
            .arg("--")
            .arg(&self.remote)
            .arg("+refs/heads/*:refs/remotes/origin/*")
            .over_network();
        git.in_repository(&self.path).run(call).await.map(drop)
    }

    /// Agents run git in the same clone: a ref may be locked for a moment, or for ever by one that was
    /// killed. Once more, without the abandoned lock, is enough for both.
    async fn fetch_past_locks(&self, git: &Git) -> Result<(), GitError> {
        let (said, command) = match self.fetch(git).await {
            Err(GitError::Failed { said, command, .. }) if said.contains("lock") => (said, command),
            fetched => return fetched,
        };
        if let Some(lock) = abandoned_lock(&said, &self.path) {
            tracing::warn!(lock = %lock.display(), "removing a lock that a killed git left in the cache");
            tokio::fs::remove_file(&lock).await.map_err(GitError::io(command))?;
        }
        self.fetch(git).await
    }

    /// Fetches one ref or commit that no branch or tag leads to. `false`: the remote does not have it,
    /// or does not give it.
    pub async fn fetch_alone(&self, wanted: &str, into: &str, git: &Git) -> Result<bool, GitError> {
        let call = Call::new(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--"])
            .arg(&self.remote)
            .arg(format!("+{wanted}:{into}"))
            .over_network();
        match git.in_repository(&self.path).run(call).await {
            Ok(_) => Ok(true),
            Err(GitError::RefNotFound { .. } | GitError::Failed { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Asks the remote whether it is there, and where its `HEAD` is.
    pub async fn look(&self, git: &Git) -> Result<Looked, GitError> {
        let call = Call::new(["ls-remote", "--symref", "--"]).arg(&self.remote).arg("HEAD");
        let answer = git.run(call.within(LOOK_WITHIN)).await?.line();
        Ok(Looked::read(&answer))
    }

    /// Lets `origin/HEAD` say what the remote's `HEAD` says now.
    async fn follow_head(&self, head: &RemoteHead, git: &Git) -> Result<(), GitError> {
        match head {
            RemoteHead::Branch(branch) => {
                let call = Call::new(["symbolic-ref", "refs/remotes/origin/HEAD"])
                    .arg(format!("refs/remotes/origin/{branch}"));
                git.in_repository(&self.path).run(call).await.map(drop)
            }
            RemoteHead::Detached(_) => self.fetch_alone("HEAD", DETACHED_HEAD, git).await.map(drop),
            RemoteHead::Unborn => Ok(()),
        }
    }

    async fn identity_missing(&self, git: &Git) -> Result<bool, GitError> {
        let call = Call::new(["config", "--get-regexp", "^user\\.(name|email)$"]);
        let known = match git.in_repository(&self.path).run(call).await {
            Ok(answer) => answer.line(),
            // Exit 1: neither is set.
            Err(GitError::Failed { code: Some(1), .. }) => String::new(),
            Err(error) => return Err(error),
        };
        let says = |key: &str| known.lines().any(|line| line.starts_with(key));
        Ok(!(says("user.name ") && says("user.email ")))
    }
}

/// The lock file that git says is in its way, if it is one of this clone's and older than any git
/// command runs for a ref.
fn abandoned_lock(said: &str, clone: &Path) -> Option<PathBuf> {
    const OLD: Duration = Duration::from_secs(10 * 60);
    let lock = said.split('\'').map(Path::new).find(|path| path.extension() == Some("lock".as_ref()))?;
    let age = lock.metadata().and_then(|metadata| metadata.modified()).ok()?.elapsed().ok()?;
    (lock.starts_with(clone) && age > OLD).then(|| lock.to_owned())
}

async fn remove_dir_if_any(path: &Path) -> io::Result<()> {
    match tokio::fs::remove_dir_all(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_remote_says_of_its_head_is_read() {
        let looked = Looked::read("ref: refs/heads/a/b\tHEAD\n12ab\tHEAD");
        assert_eq!((looked.head, looked.commit.as_deref()), (RemoteHead::Branch("a/b".into()), Some("12ab")));
        let looked = Looked::read("12ab\tHEAD");
        assert_eq!(looked.commit.as_deref(), Some("12ab"));
        assert_eq!(looked.head, RemoteHead::Detached("12ab\tHEAD".into()));
        let looked = Looked::read("");
        assert_eq!((looked.head, looked.commit), (RemoteHead::Unborn, None));
    }
}
