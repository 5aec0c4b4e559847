//! Small disks: a mount namespace with a tmpfs at each of some folders, which programs enter as they
//! come and go. The test reaches the files there through the namespace's keeper.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::daemon::Program;
use super::{mounts, soon};

/// Lives as long as a clone of it, or a program within.
#[derive(Clone)]
pub struct Disks(Arc<Keeper>);

struct Keeper {
    pid: u32,
    /// Waits for its standard input to end.
    _child: Child,
}

impl Disks {
    /// A disk of `size`, such as `64m`, at each folder. `None` where mounting is not permitted, which
    /// was said.
    ///
    /// # Panics
    /// When the namespace cannot be made though it is permitted.
    pub async fn at(folders: &[&Path], size: &str) -> Option<Self> {
        if !mounts::permitted() {
            return None;
        }
        for folder in folders {
            fs::create_dir_all(folder).expect("a mount point");
        }
        let script = r#"size="$1"; shift; for folder; do mount -t tmpfs -o "size=$size" tmpfs "$folder" || exit; done; echo ready; exec cat"#;
        let mut child = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", script, "sh", size])
            .args(folders)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("unshare starts");
        let (pid, stdout) = (child.id().expect("it runs"), child.stdout.take().expect("piped"));
        let mut line = String::new();
        soon("the disks", BufReader::new(stdout).read_line(&mut line)).await.expect("readable");
        assert_eq!(line.trim_end(), "ready", "the disks cannot be mounted");
        Some(Self(Arc::new(Keeper { pid, _child: child })))
    }

    /// The same program, with the disks in its sight.
    pub(super) fn enter(&self, program: Program) -> Program {
        let target = self.0.pid.to_string();
        let mut args = ["--target", &target, "--user", "--mount", "--preserve-credentials", "--"]
            .map(std::ffi::OsString::from)
            .to_vec();
        args.push(program.path.into());
        args.extend(program.args);
        Program { path: "nsenter".into(), args, ..program }
    }

    /// Where a path of the namespace's is seen from outside.
    ///
    /// # Panics
    /// When the path is relative.
    pub fn seen(&self, path: &Path) -> PathBuf {
        let within = path.strip_prefix("/").expect("an absolute path");
        Path::new("/proc").join(self.0.pid.to_string()).join("root").join(within)
    }

    /// Takes all the space there is on the disk at this folder, until the answer is dropped.
    ///
    /// # Errors
    /// Where the file that takes it cannot be made.
    pub fn fill(&self, folder: &Path) -> io::Result<Filled> {
        let filled = Filled { path: self.seen(folder).join("filled") };
        let mut file = File::create(&filled.path)?;
        let block = vec![1; 64 * 1024];
        while file.write_all(&block).is_ok() {}
        Ok(filled)
    }
}

/// A full disk.
pub struct Filled {
    path: PathBuf,
}

impl Drop for Filled {
    fn drop(&mut self) {
        // Gone with its disk, it is gone as well.
        let _ = fs::remove_file(&self.path);
    }
}
