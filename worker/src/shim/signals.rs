//! The signals a shim hears.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};

/// Signals as bytes in pipes, so that one `poll` waits for everything.
pub struct Signals {
    /// The agent is to end: SIGTERM or SIGINT.
    pub stop: UnixStream,
    /// A child has ended.
    pub child: UnixStream,
}

impl Signals {
    pub fn listen() -> io::Result<Self> {
        let (stop, stop_writer) = UnixStream::pair()?;
        let (child, child_writer) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(SIGINT, stop_writer.try_clone()?)?;
        signal_hook::low_level::pipe::register(SIGTERM, stop_writer)?;
        signal_hook::low_level::pipe::register(SIGCHLD, child_writer)?;
        stop.set_nonblocking(true)?;
        child.set_nonblocking(true)?;
        Ok(Self { stop, child })
    }

    /// How many came since the last look.
    pub fn take(mut pipe: &UnixStream) -> usize {
        let mut bytes = [0; 64];
        let mut count = 0;
        while let Ok(read @ 1..) = pipe.read(&mut bytes) {
            count += read;
        }
        count
    }
}
