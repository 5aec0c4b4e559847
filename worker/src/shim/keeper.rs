//! The shim's own side: one thread, one loop, as little memory as can be.
//!
//! It opens a session of its own and becomes the subreaper of all that the agent
//! starts, so that whatever daemonizes below it stays below it. On SIGTERM the agent
//! and everything under it is told to end, and killed after the grace; a second
//! SIGTERM skips the rest of the grace. The same happens on its own once the host's lease has run
//! out (see [`crate::host_lease`]), whatever became of the daemon. Once the agent itself has ended, for whatever
//! reason, what it left running is killed, and only then read to the end: a survivor
//! holding a pipe open cannot keep the shim waiting.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use factory_proto::v1::LogStream;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, WaitOptions, WaitStatus};

use super::bound::BoundedLog;
use super::orders::Orders;
use super::output::{Output, now_ms};
use super::signals::Signals;
use super::{Exit, Greeting, ShimFile};
use crate::host_lease::{BootTime, LeaseWatch};
use crate::process::{Belonging, Identity};
use crate::spool::{RecordWriter, SpoolDir};

/// How long killed processes may take to be gone before the shim gives up on them and says so.
const PATIENCE: Duration = Duration::from_secs(60);
const READ: usize = 64 * 1024;
/// A pipe holds some hundreds of kilobytes.
const DRAIN_ROUNDS: usize = 1000;

/// Runs a shim to its end. `args` is what follows the subcommand's name. Must be called before
/// the process has started any thread.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Orders::parse(args).and_then(|orders| keep(&orders)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn keep(orders: &Orders) -> io::Result<()> {
    match rustix::process::setsid() {
        Ok(_) | Err(rustix::io::Errno::PERM) => {} // refused where it leads a group already
        Err(error) => return Err(error.into()),
    }
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let signals = Signals::listen()?;
    let lease = match LeaseWatch::begin(orders.lease.clone()) {
        Ok(lease) => lease,
        Err(error) => {
            return greet(&Greeting::Failed(format!("the lease {}: {error}", orders.lease.display())));
        }
    };
    if orders.limits.start_by <= BootTime::now() {
        return greet(&Greeting::Failed("the lease it was to be started under has run out".to_owned()));
    }
    let writer = RecordWriter::open(&orders.spool.records_path())?;
    let shim = Identity::current()?;
    write_shim_file(&orders.spool, &ShimFile { shim, agent: None })?;
    let mut keeper = match start_agent(orders) {
        Ok((pid, outputs)) => Keeper {
            belonging: Belonging { attempt: orders.spool.attempt(), shim: Some(shim) },
            grace: orders.limits.grace,
            lease: Some(lease),
            signals,
            outputs,
            log: BoundedLog::new(writer, orders.limits.spool),
            agent: pid,
            ended: None,
            stopping: None,
            lease_expired: false,
            fault: None,
        },
        Err(why) => {
            std::fs::remove_file(orders.spool.shim_path())?;
            return greet(&Greeting::Failed(why));
        }
    };
    if let Err(error) = keeper.announce(&orders.spool, shim) {
        keeper.fail(&format!("the worker could not be told that the agent was started: {error}"));
    }
    let exit = keeper.run();
    orders.spool.write(&orders.spool.exit_path(), &serde_json::to_vec(&exit)?)
}

fn start_agent(orders: &Orders) -> Result<(i32, [Output; 2]), String> {
    let Some((program, args)) = orders.argv.split_first() else {
        return Err("no program was given".to_owned());
    };
    if !orders.workspace.is_dir() {
        return Err(format!("its workspace {} is not there", orders.workspace.display()));
    }
    let prompt = orders.spool.prompt_path();
    let prompt = File::open(&prompt).map_err(|error| format!("{}: {error}", prompt.display()))?;
    let mut child = Command::new(program)
        .args(args)
        .current_dir(&orders.workspace)
        .stdin(prompt)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "there is no such program on this host".to_owned(),
            io::ErrorKind::PermissionDenied => "it is not an executable file".to_owned(),
            _ => error.to_string(),
        })?;
    let stdout = child.stdout.take().expect("it was asked for");
    let stderr = child.stderr.take().expect("it was asked for");
    let pid = i32::try_from(child.id()).expect("the kernel's pids are below 2^22");
    Ok((pid, [Output::new(stdout, LogStream::Stdout), Output::new(stderr, LogStream::Stderr)]))
}

fn write_shim_file(spool: &SpoolDir, file: &ShimFile) -> io::Result<()> {
    spool.write(&spool.shim_path(), &serde_json::to_vec(file)?)
}

/// Into the shim's own log. Where the disk is full that cannot be written, which must not end the shim,
/// as a failed `eprintln!` would.
fn complain(what: impl Display) {
    let _ = writeln!(io::stderr(), "{what}");
}

fn greet(greeting: &Greeting) -> io::Result<()> {
    let mut line = serde_json::to_vec(greeting)?;
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()
}

struct Keeper {
    belonging: Belonging,
    grace: Duration,
    /// `None` once it has run out.
    lease: Option<LeaseWatch>,
    signals: Signals,
    outputs: [Output; 2],
    log: BoundedLog,
    agent: i32,
    /// How the agent itself ended.
    ended: Option<WaitStatus>,
    /// It was told to end, and is killed at this time.
    stopping: Option<Instant>,
    /// That was because the lease had run out.
    lease_expired: bool,
    fault: Option<String>,
}

impl Keeper {
    fn announce(&self, spool: &SpoolDir, shim: Identity) -> io::Result<()> {
        let agent = Identity::of(self.agent);
        write_shim_file(spool, &ShimFile { shim, agent })?;
        let started = Greeting::Started(agent.unwrap_or(Identity { pid: self.agent, start_time: 0 }));
        match greet(&started) {
            // The daemon was killed meanwhile. The next one reads the file.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    fn run(mut self) -> Exit {
        let mut buffer = vec![0; READ];
        while self.ended.is_none() {
            if let Err(error) = self.turn(&mut buffer) {
                self.fail(&format!("the shim cannot go on: {error}"));
                break;
            }
        }
        let stopped = self.stopping.is_some();
        if let Err(error) = self.kill() {
            self.fail(&format!("the agent left processes that cannot be ended: {error}"));
        }
        self.drain(&mut buffer);
        Exit {
            code: self.ended.and_then(WaitStatus::exit_status),
            signal: self.ended.and_then(WaitStatus::terminating_signal),
            stopped,
            lease_expired: self.lease_expired,
            fault: self.fault,
        }
    }

    /// Waits for something to happen, and sees to all that has.
    fn turn(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let timeout = self.stopping.map(|at| at.saturating_duration_since(Instant::now()));
        let ready = self.poll(timeout)?;
        if ready.stop {
            self.told_to_stop()?;
        }
        if ready.lease {
            self.look_at_lease()?;
        }
        if ready.child {
            Signals::take(&self.signals.child);
            reap(self.agent, &mut self.ended);
        }
        for (index, readable) in ready.outputs.into_iter().enumerate() {
            if readable {
                self.read(index, buffer)?;
            }
        }
        if self.stopping.is_some_and(|at| at <= Instant::now()) {
            self.kill()?;
        }
        Ok(())
    }

    fn poll(&self, timeout: Option<Duration>) -> io::Result<Ready> {
        let mut fds = vec![
            PollFd::new(&self.signals.stop, PollFlags::IN),
            PollFd::new(&self.signals.child, PollFlags::IN),
        ];
        fds.extend(self.lease.as_ref().map(|lease| PollFd::from_borrowed_fd(lease.as_fd(), PollFlags::IN)));
        let outputs = fds.len();
        let open: Vec<usize> = (0..2).filter(|index| self.outputs[*index].as_fd().is_some()).collect();
        fds.extend(
            self.outputs
                .iter()
                .filter_map(Output::as_fd)
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
        );
        let timeout = timeout.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(Ready::default()),
            Err(error) => return Err(error.into()),
        }
        let has_come = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let mut ready = Ready {
            stop: has_come(&fds[0]),
            child: has_come(&fds[1]),
            lease: fds[2..outputs].iter().any(has_come),
            outputs: [false; 2],
        };
        for (index, fd) in open.into_iter().zip(&fds[outputs..]) {
            ready.outputs[index] = has_come(fd);
        }
        Ok(ready)
    }

    fn told_to_stop(&mut self) -> io::Result<()> {
        let times = Signals::take(&self.signals.stop) + usize::from(self.stopping.is_some());
        self.stop(if times > 1 { Duration::ZERO } else { self.grace })
    }

    /// A host that slept may find its lease long past; what is left of the grace then is none.
    fn look_at_lease(&mut self) -> io::Result<()> {
        let Some(overdue) = self.lease.as_mut().map(LeaseWatch::look).transpose()?.flatten() else {
            return Ok(());
        };
        self.lease = None;
        let grace = self.grace.saturating_sub(overdue);
        match &mut self.stopping {
            Some(at) => {
                *at = (Instant::now() + grace).min(*at);
                Ok(())
            }
            None => {
                complain("the lease has run out; the agent is told to end");
                self.lease_expired = true;
                self.stop(grace)
            }
        }
    }

    fn stop(&mut self, grace: Duration) -> io::Result<()> {
        let first = self.stopping.is_none();
        self.stopping = Some(Instant::now() + grace);
        if first { self.belonging.signal(Signal::TERM) } else { Ok(()) }
    }

    /// The agent cannot be kept. It is ended, and its exit will say why.
    fn fail(&mut self, why: &str) {
        if self.fault.is_none() {
            complain(why);
            self.fault = Some(why.to_owned());
        }
        if self.stopping.is_none()
            && let Err(error) = self.stop(self.grace)
        {
            complain(format_args!("cannot tell the agent to end: {error}"));
            self.stopping = Some(Instant::now());
        }
    }

    fn read(&mut self, index: usize, buffer: &mut [u8]) -> io::Result<()> {
        let output = &mut self.outputs[index];
        let Some(bytes) = output.read(buffer)? else { return Ok(()) };
        // After a fault the pipes are still emptied: a full one would keep the agent from ending.
        if self.fault.is_none()
            && let Err(error) = output.record(bytes, &mut self.log)
        {
            self.fail(&format!("the agent's output cannot be written to the worker's disk: {error}"));
        }
        Ok(())
    }

    fn kill(&mut self) -> io::Result<()> {
        let (agent, ended) = (self.agent, &mut self.ended);
        self.belonging.kill(PATIENCE, || reap(agent, ended))
    }

    fn drain(&mut self, buffer: &mut [u8]) {
        if let Err(error) = self.empty_pipes(buffer).and_then(|()| self.close_log()) {
            self.fail(&format!("the end of the agent's output was not kept: {error}"));
        }
    }

    /// Takes what is left in the pipes. Nobody of the attempt writes to them any more; whoever
    /// else was handed an end of them is not listened to for long.
    fn empty_pipes(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        for _ in 0..DRAIN_ROUNDS {
            let ready = self.poll(Some(Duration::ZERO))?.outputs;
            if ready == [false; 2] {
                break;
            }
            for index in (0..2).filter(|index| ready[*index]) {
                self.read(index, buffer)?;
            }
        }
        Ok(())
    }

    fn close_log(&mut self) -> io::Result<()> {
        self.outputs.iter_mut().try_for_each(|output| output.finish(&mut self.log))?;
        self.log.close(now_ms())
    }
}

#[derive(Default)]
struct Ready {
    stop: bool,
    child: bool,
    lease: bool,
    outputs: [bool; 2],
}

/// Takes leave of every child that has ended: the agent, and orphans that fell to the subreaper.
fn reap(agent: i32, ended: &mut Option<WaitStatus>) {
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid.as_raw_nonzero().get() == agent {
            *ended = Some(status);
        }
    }
}
