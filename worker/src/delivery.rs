//! Bringing an attempt's commits to safety: to the origin, or into a bundle.

use std::path::{Path, PathBuf};

use factory_domain::{Deliver, Delivery};

use crate::git::{Call, GitError};
use crate::worktree::Worktree;

const BUNDLE_NAME: &str = "commits.bundle";

/// Where the commits are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    pub delivery: Delivery,
    /// With [`Delivery::Bundled`]: the file, to be kept with the coordinator.
    pub bundle: Option<PathBuf>,
}

/// Pushes the branch to the origin, never by force. Where the origin does not take it, for whatever
/// reason, or nothing is to be pushed, the commits go into a git bundle in `out_dir`; only when that
/// fails too is it an error. Doing it again is harmless: a branch already there is pushed to no effect.
pub async fn deliver(worktree: &Worktree, deliver: Deliver, out_dir: &Path) -> Result<Delivered, GitError> {
    let tip = worktree.tip().await?;
    if worktree.commits(&tip).await?.is_empty() {
        return Ok(Delivered { delivery: Delivery::None, bundle: None });
    }
    let why = match deliver {
        Deliver::None => "delivery was turned off".to_owned(),
        Deliver::Branch => match push(worktree, &tip).await {
            Ok(()) => return Ok(Delivered { delivery: Delivery::Pushed, bundle: None }),
            Err(error) => error.to_string(),
        },
    };
    let bundle = bundle(worktree, &tip, out_dir).await?;
    Ok(Delivered { delivery: Delivery::Bundled { why }, bundle: Some(bundle) })
}

/// By address and commit, so that neither the clone's configuration nor a moved ref changes what goes where.
async fn push(worktree: &Worktree, tip: &str) -> Result<(), GitError> {
    let call = Call::new(["push", "--quiet", "--no-verify", "--no-follow-tags", "--no-signed", "--"])
        .arg(worktree.source.remote())
        .arg(format!("{tip}:refs/heads/{}", worktree.branch))
        .over_network();
    worktree.git_in_repository().run(call).await.map(drop)
}

/// A bundle names refs, not commits: the task's branch is moved to the tip, and bundled from what
/// the origin has. `git fetch commits.bundle BRANCH` in any up-to-date clone brings it back.
async fn bundle(worktree: &Worktree, tip: &str, out_dir: &Path) -> Result<PathBuf, GitError> {
    let git = worktree.git_in_repository();
    let branch = format!("refs/heads/{}", worktree.branch);
    git.run(Call::new(["update-ref", &branch, tip])).await?;
    let file = out_dir.join(BUNDLE_NAME);
    let call = Call::new(["bundle", "create", "--quiet"])
        .arg(&file)
        .arg(&branch)
        .args(worktree.in_origin().iter().map(|commit| format!("^{commit}")));
    git.run(call).await?;
    Ok(file)
}
