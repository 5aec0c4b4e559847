//! Directories named so that people know them again, and no two things have one name.

use std::path::Path;

use factory_domain::{BranchName, RepoSource};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::repo;

/// Of a directory's name, which a file system allows 255 bytes.
const MAX_NAME: usize = 200;
const MAX_LABEL: usize = 60;

/// The repository's own name, and enough of its source's digest to tell it from its namesakes.
pub fn of_repository(source: &RepoSource) -> String {
    let remote = source.remote();
    let last = remote.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
    let last = last.strip_suffix(".git").unwrap_or(last);
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    let label: String = last.chars().map(plain).take(MAX_LABEL).collect();
    let label = label.trim_start_matches(['.', '-']);
    let digest = repo::name_of(source);
    format!("{}-{}", if label.is_empty() { "repository" } else { label }, &digest[..8])
}

/// The branch as one directory: a slash is `%2F`. No part of a branch's name leads anywhere else.
pub fn of_branch(branch: &BranchName) -> String {
    let name = branch.as_str().replace('%', "%25").replace('/', "%2F");
    // The directories of attempts have ids for names, and are told from all others by that.
    if name.len() <= MAX_NAME && Uuid::parse_str(&name).is_err() {
        return name;
    }
    let digest = hex::encode(&Sha256::digest(branch.as_str().as_bytes())[..8]);
    // `%-` stands in no name that was put together above.
    format!("{}%-{digest}", &name[..name.floor_char_boundary(MAX_NAME - 50)])
}

/// Of the file that tells of a worktree, by where that is.
pub fn of_record(worktree: &Path) -> String {
    let digest = Sha256::digest(worktree.as_os_str().as_encoded_bytes());
    format!("{}.json", hex::encode(&digest[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn branch(name: &str) -> String {
        of_branch(&BranchName::parse(name).expect("a branch"))
    }

    #[test]
    fn names_are_readable_and_of_one_directory() {
        assert_eq!(branch("feat-auth-fix"), "feat-auth-fix");
        assert_eq!(branch("feat/a%2Fb"), "feat%2Fa%252Fb");
        let long = format!("{}/x", "a/".repeat(98).trim_end_matches('/'));
        assert!(branch(&long).len() < 255 && branch(&long) != branch(&long.replace("/x", "/y")));
        let id = Uuid::now_v7().to_string();
        assert!(branch(&id) != id && branch(&id).contains(&id[..8]));
    }

    #[test]
    fn repositories_of_one_name_have_directories_of_their_own() {
        let name = |source: &str| of_repository(&RepoSource::parse(source).expect("a source"));
        assert!(name("octo/app").starts_with("app-"));
        assert!(name("git@h:x/app.git").starts_with("app-"));
        assert!(name("/srv/…/").starts_with("_-"));
        assert!(name("/").starts_with("repository-"));
        assert!(name("/srv/.hidden").starts_with("hidden-"));
        assert_ne!(name("octo/app"), name("other/app"));
    }

    proptest! {
        #[test]
        fn no_two_branches_share_a_directory_and_none_leads_away(a in "\\PC{1,200}", b in "\\PC{1,200}") {
            let (Ok(a), Ok(b)) = (BranchName::parse(a), BranchName::parse(b)) else { return Ok(()) };
            let name = of_branch(&a);
            prop_assert!(name.len() <= 255 && !name.contains('/') && !name.starts_with('.'));
            prop_assert_eq!(a == b, name == of_branch(&b));
        }
    }
}
