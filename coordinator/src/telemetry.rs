//! Where the coordinator's own log goes: standard error, as text or as JSON lines.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Sets up logging for the whole process. `RUST_LOG` filters it; `info` where it is not set.
///
/// Errors: `RUST_LOG` cannot be read as a filter, or logging was set up before.
pub fn init(format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .with_default_directive(tracing::Level::INFO.into())
        .from_env()
        .map_err(|error| anyhow::anyhow!("RUST_LOG is not a filter: {error}"))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let set_up = match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    set_up.map_err(|error| anyhow::anyhow!("logging was set up before: {error}"))
}
