//! The live view, as typed.

use clap::Args;

/// Watch the whole factory live, full-screen, with keys to open logs, answer, cancel and retry
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl top                       ? shows the keys
  factoryctl top --once                one frame as text, for scripts
  factoryctl top --once -o json | jq '.tasks[] | select(.state == \"waiting\").number'
  watch --interval 5 factoryctl top --once --width 100

It follows the coordinator's events, and goes on where it was once a lost connection is back.")]
pub struct Top {
    /// Print one frame and end
    #[arg(long)]
    pub once: bool,
    /// With --once: columns of the frame [default: those of the terminal, else 120]
    #[arg(long, value_name = "COLUMNS", requires = "once", value_parser = clap::value_parser!(u16).range(40..=1000))]
    pub width: Option<u16>,
}
