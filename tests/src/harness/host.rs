//! A machine of the test's own: a folder with a home, where everything a test starts lives.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;

use super::processes;

/// Shared by all that runs there. When the last of them is dropped, so is every process left.
#[derive(Clone)]
pub struct Host(Arc<Folder>);

struct Folder {
    path: PathBuf,
    /// Removes it at the end; `None`: it is kept.
    removal: Mutex<Option<TempDir>>,
}

impl Host {
    /// # Panics
    /// When no temporary folder can be made.
    #[expect(clippy::new_without_default, reason = "it makes a folder: that is no default")]
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("factory-test-").expect("a temporary folder");
        let path = folder.path().to_owned();
        let host = Self(Arc::new(Folder { path, removal: Mutex::new(Some(folder)) }));
        std::fs::create_dir(host.home()).expect("a home");
        let identity =
            "[user]\n\tname = Test\n\temail = test@example.invalid\n[init]\n\tdefaultBranch = main\n";
        std::fs::write(host.home().join(".gitconfig"), identity).expect("a git configuration");
        host
    }

    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Leaves the folder there when the test is over, for people to look at.
    pub fn keep(&self) -> &Path {
        let removal = self.0.removal.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(folder) = removal {
            let _ = folder.keep();
        }
        self.path()
    }

    pub fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    /// `kill -9` of every process started here, agents included, as when a machine loses power.
    pub fn kill_all(&self) {
        processes::kill_all_of(self.path());
    }

    /// The whole environment a program gets here: nothing of the machine's own but PATH.
    pub fn environment(&self) -> BTreeMap<OsString, OsString> {
        BTreeMap::from([
            ("PATH".into(), std::env::var_os("PATH").unwrap_or_default()),
            ("HOME".into(), self.home().into()),
            ("LANG".into(), "C.UTF-8".into()),
            ("GIT_CONFIG_NOSYSTEM".into(), "1".into()),
            // Only where a test asks for the real one.
            ("FACTORY_CLAUDE_BIN".into(), "/nonexistent/claude".into()),
        ])
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        processes::kill_all_of(&self.path);
    }
}
