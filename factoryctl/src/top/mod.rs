//! `top`: the factory at a glance, live, with keys to act.
//!
//! Three parts that know little of one another. The [`model`] is what is on the screen: [`keys`] and news
//! move it, and it says what it wants done as a [`wish`]. The [`view`] draws it, and nothing else. The
//! [`feed`] brings news and carries wishes out. The loop here is all that holds them together.

mod calls;
mod feed;
mod fleet;
mod keys;
mod list;
mod model;
mod news;
mod once;
mod pager;
mod pages;
mod prompt;
mod terminal;
mod view;
mod wish;

use std::time::Duration;

use futures_util::StreamExt;
use ratatui::crossterm::event::{Event, EventStream};
use ratatui::layout::Rect;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::interrupt::Interrupts;
use crate::render::{Console, units};
use feed::Feed;
use model::Model;
use news::Then;
use terminal::FullScreen;
use view::Theme;
use wish::Wish;

/// How often what no event tells is asked for: workers, progress.
const POLL: Duration = Duration::from_secs(2);
/// How soon tasks that moved are read, so that many moves cost one reading.
const REREAD: Duration = Duration::from_millis(300);
/// Tasks read one by one in one go; where more have moved, the newest are listed as well.
const REREAD_MOST: usize = 32;
/// The shortest time between two frames.
const FRAME: Duration = Duration::from_millis(40);

/// Shows the factory until someone leaves.
pub async fn follow(connection: Connection, console: Console) -> Result<Exit, CommandError> {
    let mut interrupts = Interrupts::catch().map_err(CommandError::local("cannot catch signals"))?;
    // What goes wrong so far is told as any other command tells it.
    let mut model = load(&connection).await?;
    let mut feed = Feed::new(connection);
    feed.follow(model.cursor);
    let taken = FullScreen::take(console.colored());
    let mut screen = taken.map_err(CommandError::local("cannot take the terminal"))?;
    let theme = Theme { colored: console.colored() };
    run(&mut model.model, &mut feed, &mut screen, theme, &mut interrupts).await
}

/// Prints one frame.
pub async fn once(connection: &Connection, console: Console, width: u16) -> Result<Exit, CommandError> {
    let mut begun = load(connection).await?;
    once::print(console, &mut begun.model, width)?;
    Ok(Exit::Done)
}

/// A model with all in it, and the feed's cursor that it is the truth of.
struct Begun {
    model: Model,
    cursor: u64,
}

async fn load(connection: &Connection) -> Result<Begun, CommandError> {
    let loaded = calls::load(connection).await?;
    let polled = calls::poll(connection, false).await?;
    let mut model = Model::new(&connection.config.url, Rect::ZERO, units::now_ms());
    let cursor = loaded.cursor;
    model.take_loaded(loaded);
    model.take_polled(polled);
    Ok(Begun { model, cursor })
}

async fn run(
    model: &mut Model,
    feed: &mut Feed,
    screen: &mut FullScreen,
    theme: Theme,
    interrupts: &mut Interrupts,
) -> Result<Exit, CommandError> {
    let mut keys = EventStream::new();
    let (mut poll, mut reread, mut clock) = (every(POLL), every(REREAD), every(Duration::from_secs(1)));
    let (mut changed, mut drawn) = (true, Instant::now() - FRAME);
    loop {
        let wish = tokio::select! {
            () = interrupts.next() => return Err(CommandError::Interrupted),
            pressed = keys.next() => {
                changed = true;
                match pressed {
                    Some(Ok(event)) => pressed_or_resized(model, event),
                    Some(Err(error)) => return Err(CommandError::local("cannot read the terminal")(error)),
                    // The terminal has gone.
                    None => return Ok(Exit::Done),
                }
            }
            heard = feed.next() => {
                changed = true;
                match news::take(model, heard)? {
                    Then::Nothing => None,
                    Then::Follow(cursor) => {
                        if !feed.follows() {
                            feed.follow(cursor);
                        }
                        None
                    }
                    Then::Load => {
                        feed.load();
                        feed.poll(model.fleet.works());
                        None
                    }
                    Then::Wish(wish) => Some(wish),
                }
            }
            _ = poll.tick(), if model.fleet.is_connected() => {
                feed.poll(model.fleet.works());
                if !feed.follows() {
                    feed.load();
                }
                None
            }
            _ = reread.tick(), if model.fleet.is_connected() && model.fleet.stale() > 0 && feed.may_reread() => {
                let many = model.fleet.stale() > REREAD_MOST;
                feed.reread(model.fleet.take_stale(REREAD_MOST), many);
                None
            }
            _ = clock.tick() => {
                changed = true;
                None
            }
            () = tokio::time::sleep_until(drawn + FRAME), if changed => {
                draw(model, screen, theme)?;
                (changed, drawn) = (false, Instant::now());
                None
            }
        };
        match wish {
            Some(Wish::Leave) => return Ok(Exit::Done),
            Some(wish) => feed.carry_out(wish),
            None => {}
        }
    }
}

fn pressed_or_resized(model: &mut Model, event: Event) -> Option<Wish> {
    match event {
        Event::Key(key) => return keys::press(model, key),
        Event::Paste(text) => keys::paste(model, &text),
        Event::Resize(..) | Event::FocusGained | Event::FocusLost | Event::Mouse(_) => {}
    }
    None
}

fn draw(model: &mut Model, screen: &mut FullScreen, theme: Theme) -> Result<(), CommandError> {
    model.now_ms = units::now_ms();
    let drawn = screen.terminal.draw(|frame| {
        // It is asked for its size at each frame, so that a resize is never missed.
        model.resize(frame.area());
        if let Some(cursor) = view::draw(model, theme, frame.area(), frame.buffer_mut()) {
            frame.set_cursor_position(cursor);
        }
    });
    drawn.map(|_| ()).map_err(CommandError::local("cannot write to the terminal"))
}

fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
