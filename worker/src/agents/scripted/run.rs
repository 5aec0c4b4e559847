//! The scripted agent's own process: blocking, one step after the other.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::ATTEMPT_NUMBER;
use super::steps::{Step, parse};

/// Runs the agent: the prompt is on standard input, `args` are what follows the subcommand's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let session = args.into_iter().skip_while(|name| name != "--session-id").nth(1);
    let session = session.and_then(|id| id.into_string().ok()).unwrap_or_default();
    match Agent::new(session).follow_prompt() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the scripted agent: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Agent {
    session: String,
    started: Instant,
    turns: u32,
    cost_usd: f64,
    last_words: String,
    /// From its result to its end.
    linger: Duration,
    /// The terminal reason of a run that fails.
    failing: &'static str,
}

impl Agent {
    fn new(session: String) -> Self {
        Self {
            session,
            started: Instant::now(),
            turns: 0,
            cost_usd: 0.0,
            last_words: "Done.".to_owned(),
            linger: Duration::ZERO,
            failing: "failed",
        }
    }

    /// Whether it came to a good end.
    fn follow_prompt(mut self) -> io::Result<bool> {
        let mut prompt = String::new();
        io::stdin().lock().read_to_string(&mut prompt)?;
        let cwd = std::env::current_dir()?;
        self.print(json!({ "type": "system", "subtype": "init", "session_id": self.session, "cwd": cwd, "model": "scripted" }))?;
        let failed = self.take_all(&parse(&prompt))?;
        self.finish(failed.as_deref())?;
        sleep(self.linger);
        Ok(failed.is_none())
    }

    /// Why it failed, if it did.
    fn take_all(&mut self, steps: &[Step]) -> io::Result<Option<String>> {
        for step in steps {
            self.turns += 1;
            if let Err(why) = self.take(step)? {
                return Ok(Some(why));
            }
        }
        Ok(None)
    }

    /// The inner error is the agent's failure, told in its result.
    fn take(&mut self, step: &Step) -> io::Result<Result<(), String>> {
        match step {
            Step::Say(text) => {
                self.last_words.clone_from(text);
                self.say(text)?;
            }
            Step::Sleep(time) => sleep(*time),
            Step::Write { path, text } => return self.edit("Write", path, || write(path, text)),
            Step::Append { path, text } => return self.edit("Edit", path, || append(path, text)),
            Step::Commit(message) => return self.commit(message),
            Step::Run(argv) => {
                self.run(argv)?;
            }
            Step::Lines(count) => {
                (1..=*count).try_for_each(|line| self.say(&format!("line {line} of {count}")))?
            }
            Step::Line(length) => self.say(&"x".repeat(*length))?,
            Step::Cost(usd) => self.cost_usd = *usd,
            Step::Orphan => {
                Command::new("setsid").args(["sleep", "100000"]).spawn()?;
            }
            Step::Linger(time) => self.linger = *time,
            Step::Fail(why) => return Ok(Err(why.clone())),
            Step::FailOnce(why) if is_first_attempt() => return Ok(Err(why.clone())),
            Step::LimitOnce(time) if is_first_attempt() => return self.meet_limit(*time).map(Err),
            Step::FailOnce(_) | Step::LimitOnce(_) => {}
        }
        Ok(Ok(()))
    }

    fn edit(
        &mut self,
        tool: &str,
        path: &str,
        edit: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<Result<(), String>> {
        self.call(tool, json!({ "file_path": path }))?;
        let done = edit().map_err(|error| format!("cannot write {path}: {error}"));
        self.answer(done.as_ref().map_or_else(String::as_str, |()| "written"), done.is_err())?;
        Ok(done)
    }

    fn commit(&mut self, message: &str) -> io::Result<Result<(), String>> {
        let git = |args: &[&str]| ["git"].iter().chain(args).map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
        if run(&git(&["rev-parse", "--git-dir"])).is_ok_and(|output| !output.status.success()) {
            self.say("This is no repository: the files stay as they are.")?;
            return Ok(Ok(()));
        }
        let added = self.run(&git(&["add", "--all"]))?;
        let committed = added && self.run(&git(&["commit", "--quiet", "--message", message]))?;
        Ok(if committed { Ok(()) } else { Err(format!("cannot commit `{message}`")) })
    }

    fn run(&mut self, argv: &[String]) -> io::Result<bool> {
        self.call("Bash", json!({ "command": argv.join(" ") }))?;
        let (text, good) = match run(argv) {
            Ok(output) => {
                let text = [output.stdout, output.stderr].concat();
                (String::from_utf8_lossy(&text).trim_end().to_owned(), output.status.success())
            }
            Err(error) => (error.to_string(), false),
        };
        self.answer(&text, !good)?;
        Ok(good)
    }

    /// As Claude Code tells it of a subscription, whose resets come at whole seconds.
    fn meet_limit(&mut self, time: Duration) -> io::Result<String> {
        let reset = SystemTime::now() + time + Duration::from_secs(1);
        let resets_at = reset.duration_since(UNIX_EPOCH).map_err(io::Error::other)?.as_secs();
        let info = json!({ "status": "rejected", "resetsAt": resets_at, "rateLimitType": "five_hour" });
        self.print(json!({ "type": "rate_limit_event", "rate_limit_info": info }))?;
        self.failing = "api_error";
        Ok("You've hit your session limit".to_owned())
    }

    fn say(&self, text: &str) -> io::Result<()> {
        self.message("assistant", json!({ "type": "text", "text": text }))
    }

    fn call(&self, tool: &str, input: Value) -> io::Result<()> {
        let id = format!("step-{}", self.turns);
        self.message("assistant", json!({ "type": "tool_use", "id": id, "name": tool, "input": input }))
    }

    fn answer(&self, text: &str, is_error: bool) -> io::Result<()> {
        let id = format!("step-{}", self.turns);
        self.message(
            "user",
            json!({ "type": "tool_result", "tool_use_id": id, "content": text, "is_error": is_error }),
        )
    }

    fn message(&self, from: &str, block: Value) -> io::Result<()> {
        self.print(json!({
            "type": from,
            "message": { "role": from, "model": "scripted", "content": [block] },
            "parent_tool_use_id": null,
            "session_id": self.session,
        }))
    }

    fn finish(&self, failed: Option<&str>) -> io::Result<()> {
        self.print(json!({
            "type": "result",
            "subtype": if failed.is_some() { "error_during_execution" } else { "success" },
            "is_error": failed.is_some(),
            "terminal_reason": if failed.is_some() { self.failing } else { "completed" },
            "result": failed.unwrap_or(&self.last_words),
            "num_turns": self.turns,
            "duration_ms": u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "total_cost_usd": self.cost_usd,
            "session_id": self.session,
        }))
    }

    fn print(&self, event: Value) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        serde_json::to_writer(&mut stdout, &event)?;
        stdout.write_all(b"\n")?;
        stdout.flush()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the step asks for the passing of time, and there is no other event"
)]
fn sleep(time: Duration) {
    std::thread::sleep(time);
}

fn is_first_attempt() -> bool {
    std::env::var(ATTEMPT_NUMBER).is_ok_and(|number| number == "1")
}

fn run(argv: &[String]) -> io::Result<Output> {
    Command::new(&argv[0]).args(&argv[1..]).stdin(Stdio::null()).output()
}

fn write(path: &str, text: &str) -> io::Result<()> {
    make_folder_of(path)?;
    fs::write(path, text)
}

fn append(path: &str, text: &str) -> io::Result<()> {
    make_folder_of(path)?;
    fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}

fn make_folder_of(path: &str) -> io::Result<()> {
    match Path::new(path).parent() {
        Some(folder) => fs::create_dir_all(folder),
        None => Ok(()),
    }
}
