//! Small or read-only roots, mounted where only one program sees them.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use super::daemon::Program;

/// Whether this machine lets the test mount anything; says so where it does not.
pub fn permitted() -> bool {
    let status =
        Command::new("unshare").args(["--map-root-user", "--mount", "true"]).stderr(Stdio::null()).status();
    let permitted = status.is_ok_and(|status| status.success());
    if !permitted {
        super::skipped("mounts in a namespace of one's own are not permitted here");
    }
    permitted
}

/// The same program, with an empty tmpfs at `folder` that nobody else sees.
pub(super) fn with_tmpfs(program: Program, folder: &Path, options: &str) -> Program {
    std::fs::create_dir_all(folder).expect("a mount point");
    let mount = r#"mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@""#;
    let mut args: Vec<OsString> =
        ["--map-root-user", "--mount", "sh", "-c", mount, "sh", options].map(OsString::from).to_vec();
    args.extend([folder.into(), program.path.into()]);
    args.extend(program.args);
    Program { path: "unshare".into(), args, ..program }
}
