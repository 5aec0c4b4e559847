//! `top`: the factory at a glance, live, or once for a script.

use crate::cli::{Global, Top};
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::Console;
use crate::top;

/// Columns of a frame where no terminal tells.
const WIDTH: u16 = 120;

pub async fn run(global: &Global, console: Console, args: Top) -> Result<Exit, CommandError> {
    if args.once {
        let width = args.width.unwrap_or_else(|| console.width().unwrap_or(WIDTH));
        return top::once(&Connection::open(global).await?, console, width).await;
    }
    if !console.for_people() {
        let how = "--format: a live view is for people; --once prints one frame as JSON";
        return Err(CommandError::Usage(how.to_owned()));
    }
    if !console.on_terminal() {
        let how = "top takes a whole terminal, and stdout is none; `factoryctl top --once` prints one frame";
        return Err(CommandError::Usage(how.to_owned()));
    }
    top::follow(Connection::open(global).await?, console).await
}
