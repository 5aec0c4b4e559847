//! Roles and templates, as typed.

use clap::{Args, Subcommand};

/// Who agents can be: prompts, tools, timeouts, models
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl roles
  factoryctl roles show reviewer
  factoryctl roles check        what is wrong with your own files, with file and line

Your own lie beside the coordinator's state, in ROOT/roles: NAME.md with a head of TOML, or NAME.toml.
They go before built-in ones of the same name, and are read as soon as they are written.")]
pub struct Roles {
    #[command(subcommand)]
    pub command: Option<LibraryCommand>,
}

/// How the tasks of each type are put to their agents
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl templates          the templates, and the placeholders they can use
  factoryctl templates show code
  factoryctl templates check    what is wrong with your own files, with file and line
  factoryctl submit \"Add rate limiting\" --type code

Your own lie beside the coordinator's state, in ROOT/templates: NAME.md with {{ files }} and the like, or
NAME-worker.template.md with {files}. They go before built-in ones of the same name.")]
pub struct Templates {
    #[command(subcommand)]
    pub command: Option<LibraryCommand>,
}

#[derive(Debug, Default, Subcommand)]
pub enum LibraryCommand {
    /// List them, with where each comes from
    #[default]
    List,
    /// Show one in full
    Show(LibraryName),
    /// Read your files as they are now, and say what is wrong with them
    Check,
}

#[derive(Debug, Args)]
pub struct LibraryName {
    /// Its name
    pub name: String,
}
