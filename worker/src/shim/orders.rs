//! What the daemon tells a shim, as arguments.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::spool::SpoolDir;

/// The arguments that give these orders, up to the agent's own argv.
pub fn arguments(spool: &Path, workspace: &Path, lease: &Path, grace: Duration) -> Vec<OsString> {
    let grace = grace.as_millis().to_string();
    vec![
        "--spool".into(),
        spool.into(),
        "--workspace".into(),
        workspace.into(),
        "--lease-file".into(),
        lease.into(),
        "--grace-ms".into(),
        grace.into(),
        "--".into(),
    ]
}

pub struct Orders {
    pub spool: SpoolDir,
    pub workspace: PathBuf,
    /// Says until when the agent may live.
    pub lease: PathBuf,
    /// What the agent gets between being told to end and being killed.
    pub grace: Duration,
    pub argv: Vec<OsString>,
}

impl Orders {
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> io::Result<Self> {
        let usage = || {
            invalid(
                "usage: shim --spool DIR --workspace DIR --lease-file PATH --grace-ms N -- PROGRAM [ARG]…",
            )
        };
        let (mut spool, mut workspace, mut lease, mut grace) = (None, None, None, None);
        let mut args = args.into_iter();
        while let Some(name) = args.next().filter(|name| name != "--") {
            let value = args.next().ok_or_else(usage)?;
            match name.to_str() {
                Some("--spool") => spool = Some(SpoolDir::open(Path::new(&value))?),
                Some("--workspace") => workspace = Some(PathBuf::from(value)),
                Some("--lease-file") => lease = Some(PathBuf::from(value)),
                Some("--grace-ms") => grace = value.to_str().and_then(|value| value.parse().ok()),
                _ => return Err(usage()),
            }
        }
        Ok(Self {
            spool: spool.ok_or_else(usage)?,
            workspace: workspace.ok_or_else(usage)?,
            lease: lease.ok_or_else(usage)?,
            grace: Duration::from_millis(grace.ok_or_else(usage)?),
            argv: args.collect(),
        })
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
