//! While the agent runs: its lines are read from the spool, its limits kept, its end waited for.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use factory_domain::{Failure, FailureReason, Outcome, Timestamp};
use factory_proto::v1::{LogRecord, LogStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::assignment::Progress;
use super::course::Order;
use super::deadlines::{Deadlines, Due};
use super::machine::{Cause, Input};
use super::now;
use super::run::{Work, worker_error};
use super::said::{self, Post};
use crate::agents::{Agent, Transcript};
use crate::shim::Exit;
use crate::shims::RunningShim;
use crate::spool::RecordReader;

/// Bytes of records read at a time; between two reads others have their turn.
const READ: usize = 256 * 1024;
/// Bytes of one line that are understood; the log has all of it. Claude's longest are a few megabytes.
const MAX_LINE: usize = 64 * 1024 * 1024;

impl Work {
    /// Reads what the agent prints until nothing of it is left. Cancelling the token ends it.
    ///
    /// Begins with the log's first record, so that an agent adopted after a restart is understood as a whole.
    pub async fn follow(&mut self, token: &CancellationToken) -> Input {
        let Some(mut shim) = self.shim.take() else { return broken("there is no agent to follow") };
        let ended = CancellationToken::new();
        let checkpoints = self.keep_checkpoints(ended.clone());
        let informed = self.keep_informed(ended.clone());
        let (posts, posted) = mpsc::unbounded_channel();
        let posting = self.post_what_is_said(posted, ended.clone());
        let reading = async {
            let read = self.read_to_the_end(&mut *shim, posts, token).await;
            ended.cancel();
            read
        };
        let (read, (), (), unposted) = tokio::join!(reading, checkpoints, informed, posting);
        // Whatever of the agent may be left acts no more.
        self.seat = None;
        if unposted > 0 {
            self.note(format!("{unposted} message(s) that the agent said could not be posted")).await;
        }
        match read {
            Ok(input) => input,
            Err(error) => {
                // Without its lines the agent cannot be judged, and it must not outlive its attempt.
                tracing::error!(%error, "the attempt's log cannot be read; its agent is ended");
                end(&*shim);
                if let Err(error) = shim.wait().await {
                    tracing::warn!(%error, "the agent's end is not known");
                }
                broken(&error)
            }
        }
    }

    async fn read_to_the_end(
        &mut self,
        shim: &mut dyn RunningShim,
        posts: mpsc::UnboundedSender<Post>,
        token: &CancellationToken,
    ) -> io::Result<Input> {
        let agent = self.host.crew.adapter(self.assignment.spec.agent);
        let agent = agent.ok_or_else(|| io::Error::other("this worker does not know the agent"))?;
        let path = self.spool.records_path();
        let mut growth = self.host.watch.follow(&path);
        let mut reading = Reading {
            reader: RecordReader::open(&path, 0)?,
            lines: Lines::default(),
            agent: Arc::clone(agent),
            posts,
            transcript: agent.transcript(&self.job()?),
            deadlines: Deadlines::new(
                &self.assignment.spec,
                self.host.config.linger_timeout,
                self.started_at(),
            ),
        };
        let (mut ending, mut answered) = (false, false);
        let exit = loop {
            // What was there before is read first: a limit is judged with every line known.
            while reading.read()? {
                tokio::task::yield_now().await;
            }
            if !answered && reading.transcript.is_answered() {
                answered = true;
                self.host.crew.login_accepted(self.assignment.spec.agent);
            }
            if !ending && let Some(due) = reading.due() {
                ending = true;
                match due {
                    Due::Failed(failure) => {
                        let order = Order::End(Cause::Failed(failure));
                        self.host.roster.order(self.assignment.attempt, order);
                    }
                    Due::Lingered => {
                        tracing::info!("the agent gave its result and does not end; it is ended");
                        self.stopping = true;
                        end(shim);
                    }
                }
            }
            let pause = reading.deadlines.pause(now()).filter(|_| !ending);
            tokio::select! {
                exit = shim.wait() => break exit,
                () = growth.grown() => {}
                () = token.cancelled(), if !self.stopping => {
                    self.stopping = true;
                    ending = true;
                    end(shim);
                }
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
        };
        while reading.read()? {
            tokio::task::yield_now().await;
        }
        let exit = exit.unwrap_or_else(|error| Exit { fault: Some(error.to_string()), ..Exit::default() });
        tracing::info!(exit = exit.describe(), stopped = exit.stopped, "agent ended");
        let verdict = self.conclude(&exit, reading.transcript);
        let verdict = match verdict {
            // A turn that was ended to wait for an answer is not the last.
            Outcome::Succeeded if self.waits_for_answer().await => Outcome::Asked,
            Outcome::Succeeded if self.lacks_output() => Outcome::Failed {
                failure: Failure {
                    reason: FailureReason::AgentError,
                    message: "the agent came to its end without the answer that the task's schema asks for"
                        .to_owned(),
                },
            },
            verdict => verdict,
        };
        Ok(Input::AgentEnded { stopped: exit.stopped, verdict })
    }

    /// Whether an answer by a schema was asked for and not given.
    fn lacks_output(&self) -> bool {
        let given = self.findings.conclusion.as_ref().is_some_and(|it| it.structured_output.is_some());
        self.assignment.spec.output_schema.is_some() && !given
    }

    fn conclude(&mut self, exit: &Exit, transcript: Box<dyn Transcript>) -> Outcome {
        let conclusion = transcript.conclude(exit, now());
        let verdict = match exit.failure() {
            Some(failure) => Outcome::Failed { failure },
            None => match (&conclusion.outcome, exit.lost()) {
                (Outcome::Cancelled, Some(failure)) => Outcome::Failed { failure },
                (outcome, _) => outcome.clone(),
            },
        };
        self.findings.exit_code = exit.code;
        self.findings.conclusion = Some(conclusion);
        verdict
    }

    fn started_at(&self) -> Timestamp {
        match self.assignment.progress {
            Progress::Started { at_time, .. } => at_time,
            _ => now(),
        }
    }
}

fn end(shim: &dyn RunningShim) {
    if let Err(error) = shim.stop() {
        tracing::error!(%error, shim = shim.pid(), "the agent cannot be told to end");
    }
}

fn broken(why: impl ToString) -> Input {
    Input::AgentEnded { stopped: false, verdict: Outcome::Failed { failure: worker_error(why) } }
}

/// The agent's words as they come in.
struct Reading {
    reader: RecordReader,
    lines: Lines,
    agent: Arc<dyn Agent>,
    /// Takes the messages that the agent says for others.
    posts: mpsc::UnboundedSender<Post>,
    transcript: Box<dyn Transcript>,
    deadlines: Deadlines,
}

impl Reading {
    /// Takes in the next records; `false` at the log's current end.
    fn read(&mut self) -> io::Result<bool> {
        let records = self.reader.read_batch(READ)?;
        for record in &records {
            let stream = record.stream();
            if matches!(stream, LogStream::Stdout | LogStream::Stderr)
                && let Some(line) = self.lines.take(record)
            {
                self.transcript.record(stream, &line);
                if said::may_hold(&line) {
                    let words = self.agent.words(stream, &line);
                    for post in said::posts(record.offset, words.iter().map(String::as_str)) {
                        // Without a seat nobody takes them.
                        let _ = self.posts.send(post);
                    }
                }
            }
            // Every record: once the log has reached its bound, the shim's marks are the signs of life.
            self.deadlines.heard(Timestamp::from_millis(record.at_ms), self.transcript.is_done());
        }
        Ok(!records.is_empty())
    }

    /// Why the agent should be ended now, if it should.
    fn due(&self) -> Option<Due> {
        self.transcript.give_up().map(Due::Failed).or_else(|| self.deadlines.passed(now()))
    }
}

/// Whole lines from records: a long line comes in several.
#[derive(Default)]
struct Lines {
    /// By stream: the pieces so far.
    begun: BTreeMap<i32, Vec<u8>>,
}

impl Lines {
    fn take<'r>(&mut self, record: &'r LogRecord) -> Option<std::borrow::Cow<'r, [u8]>> {
        if record.continues {
            let begun = self.begun.entry(record.stream).or_default();
            if begun.len() < MAX_LINE {
                begun.extend_from_slice(&record.data);
            }
            return None;
        }
        match self.begun.remove(&record.stream) {
            Some(mut line) => {
                line.extend_from_slice(&record.data);
                Some(line.into())
            }
            None => Some(record.data.as_ref().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use factory_proto::record::{MAX_DATA, split_line};

    #[test]
    fn a_long_line_is_whole_again_though_the_other_stream_spoke_in_between() {
        let long = Bytes::from(vec![b'x'; 2 * MAX_DATA + 5]);
        let mut records: Vec<_> = split_line(0, 0, LogStream::Stdout, long.clone()).collect();
        records.insert(1, split_line(0, 0, LogStream::Stderr, "oh".into()).next().expect("one"));
        let mut lines = Lines::default();
        let whole: Vec<_> = records.iter().filter_map(|record| lines.take(record)).collect();
        assert_eq!(whole, [&b"oh"[..], &long[..]]);
    }
}
