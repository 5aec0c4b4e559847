//! `factoryctl` on a terminal of its own, read as a person reads it: by what stands on the screen.

use std::io::{Read, Write};
use std::num::NonZero;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::factory::Factory;

/// Far longer than anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Screen {
    child: Child,
    keys: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
    reader: Option<JoinHandle<()>>,
    terminal: vt100::Parser,
    pid: PathBuf,
}

impl Screen {
    /// Runs `factoryctl` with plain words as arguments; the shell that it ran in tells its exit code and how
    /// it left the terminal.
    pub fn start(factory: &Factory, args: &[&str], rows: u16, columns: u16) -> Self {
        let (binary, args) = (env!("CARGO_BIN_EXE_factoryctl"), args.join(" "));
        let run = format!("sh -c 'echo $$ > pid; exec \"$@\"' sh '{binary}' --url {} {args}", factory.url);
        let line = format!("stty rows {rows} cols {columns}; {run}; echo \"ended with $?\"; stty -a");
        let mut child = Command::new("script")
            .args(["--quiet", "--flush", "--command", &line, "/dev/null"])
            .env("TERM", "xterm-256color")
            .env("USER", "ada")
            .env("SHELL", "/bin/sh")
            .env_remove("NO_COLOR")
            .env_remove("FACTORY_AUTH_TOKEN")
            .current_dir(factory.directory())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`script` of util-linux makes the terminal");
        let keys = child.stdin.take();
        let mut from = child.stdout.take().expect("piped");
        let (to, output) = channel();
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                if to.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let terminal = vt100::Parser::new(cells(rows), cells(columns), 0);
        let pid = factory.directory().join("pid");
        Self { child, keys, output, reader: Some(reader), terminal, pid }
    }

    /// Sends the program itself a signal, once something of it was seen.
    pub fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(&self.pid).expect("written before it began");
        let sent = Command::new("kill").args([&format!("-{name}"), pid.trim()]).status().expect("kill");
        assert!(sent.success(), "{name} to {pid}");
    }

    pub fn press(&mut self, keys: &str) {
        let to = self.keys.as_mut().expect("it runs");
        to.write_all(keys.as_bytes()).and_then(|()| to.flush()).expect("it takes keys");
    }

    /// Waits until all of `words` stand on the screen, and gives it.
    pub fn until(&mut self, words: &[&str]) -> String {
        self.until_it(&format!("{words:?}"), |screen| words.iter().all(|word| screen.contains(word)))
    }

    pub fn until_it(&mut self, what: &str, seen: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.terminal.screen().contents();
            if seen(&screen) {
                return screen;
            }
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.terminal.process(&bytes),
                Err(RecvTimeoutError::Timeout) => panic!("waited for {what} on\n{screen}"),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended without {what}:\n{screen}"),
            }
        }
    }

    pub fn is_full_screen(&self) -> bool {
        self.terminal.screen().alternate_screen()
    }

    /// Waits for the end with this code, and looks whether the terminal is as it was.
    pub fn ended_with(mut self, code: i32) {
        let screen = self.until(&[&format!("ended with {code}"), "icanon", "echo"]);
        assert!(!screen.contains("-icanon") && !screen.contains("-echo "), "{screen}");
        assert!(!self.is_full_screen(), "it left the full screen");
        assert!(!self.terminal.screen().hide_cursor(), "the cursor is to be seen");
        assert!(!self.terminal.screen().bracketed_paste());
    }
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a screen has some")
}

impl Drop for Screen {
    fn drop(&mut self) {
        drop(self.keys.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
