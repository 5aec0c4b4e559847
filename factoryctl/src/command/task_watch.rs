//! `watch`, and the watching that `submit --watch`, `retry --watch` and `run` end in.

use crate::cli;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::interrupt::Interrupts;
use crate::render::Console;
use crate::watch::{Spell, Subject, Watch, WatchCursor};

pub async fn run(connection: Connection, console: Console, args: cli::Watch) -> Result<Exit, CommandError> {
    let subject = if args.all { Subject::All } else { Subject::Tasks(args.tasks) };
    follow(connection, console, subject, args.since, args.raw).await
}

/// Watches from the beginning until the tasks have ended.
pub async fn to_the_end(
    connection: Connection,
    console: Console,
    subject: Subject,
    raw: bool,
) -> Result<Exit, CommandError> {
    follow(connection, console, subject, None, raw).await
}

async fn follow(
    connection: Connection,
    console: Console,
    subject: Subject,
    since: Option<WatchCursor>,
    raw: bool,
) -> Result<Exit, CommandError> {
    let mut interrupts = Interrupts::catch().map_err(CommandError::local("cannot catch signals"))?;
    let names = match &subject {
        Subject::Tasks(names) => names.join(" "),
        Subject::All => "--all".to_owned(),
    };
    let Connection { client, config } = connection;
    let mut watch = Watch::open(client, config, console, subject, since, raw).await?;
    let spell = watch.follow(interrupts.next()).await;
    if !matches!(spell, Ok(Spell::Ended) | Err(CommandError::OutputClosed)) {
        console.note(format_args!("resume with: factoryctl watch {names} --since {}", watch.cursor()));
    }
    match spell? {
        Spell::Ended => Ok(watch.exit()),
        Spell::Interrupted => Err(CommandError::Interrupted),
    }
}
