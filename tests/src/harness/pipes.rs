//! Named pipes between agents and the test: an agent rings, and waits until it is let through.
//! A test thus knows what runs, and for how long, without looking at a clock.

use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe::{OpenOptions, Receiver, Sender};

use super::{host::Host, soon};

/// Agents say a line into it: `echo up > PATH`.
pub struct Bell {
    path: PathBuf,
    lines: BufReader<Receiver>,
}

/// Agents stop at it, each until it is let through: `read _ < PATH`.
pub struct Turnstile {
    path: PathBuf,
    bytes: Sender,
}

fn make(host: &Host, name: &str) -> PathBuf {
    let path = host.path().join(name);
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a named pipe");
    path
}

impl Bell {
    /// # Panics
    /// When no pipe can be made.
    pub fn new(host: &Host, name: &str) -> Self {
        let path = make(host, name);
        // Open both ways: neither side waits for the other, and the end never comes.
        let receiver = OpenOptions::new().read_write(true).open_receiver(&path).expect("a pipe opens");
        Self { path, lines: BufReader::new(receiver) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for that many lines.
    ///
    /// # Panics
    /// When they do not come.
    pub async fn rung(&mut self, times: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for count in 0..times {
            let mut line = String::new();
            soon(&format!("ring {} of {times}", count + 1), self.lines.read_line(&mut line))
                .await
                .expect("readable");
            lines.push(line.trim_end().to_owned());
        }
        lines
    }
}

impl Turnstile {
    /// # Panics
    /// When no pipe can be made.
    pub fn new(host: &Host, name: &str) -> Self {
        let path = make(host, name);
        let bytes = OpenOptions::new().read_write(true).open_sender(&path).expect("a pipe opens");
        Self { path, bytes }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets that many agents through, those waiting or those to come.
    ///
    /// # Panics
    /// When the pipe is full.
    pub fn let_through(&self, count: usize) {
        // A line of one byte each: a shell reads bytewise, so that nobody takes another's.
        let written = self.bytes.try_write(&vec![b'\n'; count]).expect("writable");
        assert_eq!(written, count);
    }
}
