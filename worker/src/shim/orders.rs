//! What the daemon tells a shim, as arguments.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Limits;
use crate::host_lease::BootTime;
use crate::spool::SpoolDir;

/// The arguments that give these orders, up to the agent's own argv.
pub fn arguments(spool: &Path, workspace: &Path, lease: &Path, limits: Limits) -> Vec<OsString> {
    let grace = limits.grace.as_millis().to_string();
    vec![
        "--spool".into(),
        spool.into(),
        "--workspace".into(),
        workspace.into(),
        "--lease-file".into(),
        lease.into(),
        "--start-by-ms".into(),
        limits.start_by.as_millis().to_string().into(),
        "--grace-ms".into(),
        grace.into(),
        "--max-spool-bytes".into(),
        limits.spool.to_string().into(),
        "--".into(),
    ]
}

pub struct Orders {
    pub spool: SpoolDir,
    pub workspace: PathBuf,
    /// Says until when the agent may live.
    pub lease: PathBuf,
    pub limits: Limits,
    pub argv: Vec<OsString>,
}

impl Orders {
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> io::Result<Self> {
        let usage = || {
            invalid(
                "usage: shim --spool DIR --workspace DIR --lease-file PATH --start-by-ms N --grace-ms N --max-spool-bytes N -- PROGRAM [ARG]…",
            )
        };
        let (mut spool, mut workspace, mut lease) = (None, None, None);
        let (mut start_by, mut grace, mut bound) = (None, None, None);
        let mut args = args.into_iter();
        while let Some(name) = args.next().filter(|name| name != "--") {
            let value = args.next().ok_or_else(usage)?;
            match name.to_str() {
                Some("--spool") => spool = Some(SpoolDir::open(Path::new(&value))?),
                Some("--workspace") => workspace = Some(PathBuf::from(value)),
                Some("--lease-file") => lease = Some(PathBuf::from(value)),
                Some("--start-by-ms") => start_by = value.to_str().and_then(|value| value.parse().ok()),
                Some("--grace-ms") => grace = value.to_str().and_then(|value| value.parse().ok()),
                Some("--max-spool-bytes") => bound = value.to_str().and_then(|value| value.parse().ok()),
                _ => return Err(usage()),
            }
        }
        Ok(Self {
            spool: spool.ok_or_else(usage)?,
            workspace: workspace.ok_or_else(usage)?,
            lease: lease.ok_or_else(usage)?,
            limits: Limits {
                start_by: BootTime::from_millis(start_by.ok_or_else(usage)?),
                grace: Duration::from_millis(grace.ok_or_else(usage)?),
                spool: bound.ok_or_else(usage)?,
            },
            argv: args.collect(),
        })
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
