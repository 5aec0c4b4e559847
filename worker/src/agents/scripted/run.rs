//! The scripted agent's own process: blocking, one step after the other.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::ATTEMPT_NUMBER;
use super::conversation::{self, Conversation};
use super::steps::{Step, parse};
use super::tools;

/// The id of a new conversation.
pub(super) const NEW: &str = "--session-id";
/// The id of one to go on with.
pub(super) const RESUMED: &str = "--resume";
/// The directory that has the conversations.
pub(super) const HOME: &str = "--home";

/// Runs the agent: the prompt is on standard input, `args` are what follows the subcommand's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let value = |name: &str| args.iter().skip_while(|arg| *arg != name).nth(1);
    let resumed = value(RESUMED).is_some();
    let session = value(RESUMED).or(value(NEW)).map(|id| id.to_string_lossy().into_owned());
    let session = session.unwrap_or_default();
    let home = value(HOME).map_or_else(PathBuf::new, PathBuf::from);
    let conversation = conversation::path(&home, &session);
    match Agent::new(session, resumed).converse(&conversation) {
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
    /// Steps it does not know of may have been taken already.
    resumed: bool,
    started: Instant,
    turns: u32,
    /// The step under way, counted over all runs of the conversation.
    step: usize,
    cost_usd: f64,
    last_words: String,
    /// From its result to its end.
    linger: Duration,
    /// The terminal reason of a run that fails.
    failing: &'static str,
    /// The answer by the task's schema.
    output: Option<Value>,
    /// It was told to end its turn, and will be resumed.
    waits: bool,
}

impl Agent {
    fn new(session: String, resumed: bool) -> Self {
        Self {
            session,
            resumed,
            started: Instant::now(),
            turns: 0,
            step: 0,
            cost_usd: 0.0,
            last_words: "Done.".to_owned(),
            linger: Duration::ZERO,
            failing: "failed",
            output: None,
            waits: false,
        }
    }

    /// Whether it came to a good end.
    fn converse(mut self, conversation: &Path) -> io::Result<bool> {
        let mut told = String::new();
        io::stdin().lock().read_to_string(&mut told)?;
        let conversation = if self.resumed {
            Conversation::resume(conversation, &told)?
        } else {
            Some(Conversation::begin(conversation, told)?)
        };
        let Some(conversation) = conversation else {
            let why = format!("No conversation found with session ID: {}", self.session);
            self.finish(Some(&why))?;
            return Ok(false);
        };
        let cwd = std::env::current_dir()?;
        self.print(json!({ "type": "system", "subtype": "init", "session_id": self.session, "cwd": cwd, "model": "scripted" }))?;
        let failed = self.go_on(conversation)?;
        self.finish(failed.as_deref())?;
        sleep(self.linger);
        Ok(failed.is_none())
    }

    /// Takes the steps that are not done. Why it failed, if it did.
    fn go_on(&mut self, mut conversation: Conversation) -> io::Result<Option<String>> {
        let steps = parse(&conversation.prompt);
        if self.resumed {
            self.say(&format!("I go on after {} of {} steps.", conversation.done, steps.len()))?;
        }
        for step in steps.iter().skip(conversation.done) {
            self.turns += 1;
            self.step = conversation.done;
            if let Err(why) = self.take(step)? {
                return Ok(Some(why));
            }
            conversation.step_done()?;
            if self.waits {
                break;
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
            Step::Append { path, text } if self.resumed && ends_with(path, text) => {
                self.say(&format!("{path} has it already."))?;
            }
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
            Step::Tokens(count) => self.use_tokens(*count)?,
            Step::Orphan => {
                Command::new("setsid").args(["sleep", "100000"]).spawn()?;
            }
            Step::Linger(time) => self.linger = *time,
            Step::Tool { name, arguments } => return self.use_tool(name, arguments),
            Step::Output(value) => self.output = Some(value.clone()),
            Step::Fail(why) => return Ok(Err(why.clone())),
            Step::FailOnce(why) if is_first_attempt() => return Ok(Err(why.clone())),
            Step::LimitOnce(time) if is_first_attempt() => return self.meet_limit(*time).map(Err),
            Step::FailOnce(_) | Step::LimitOnce(_) => {}
        }
        Ok(Ok(()))
    }

    fn use_tool(&mut self, name: &str, arguments: &Value) -> io::Result<Result<(), String>> {
        self.call(&format!("mcp__factory__{name}"), arguments.clone())?;
        // The same step of the same conversation is the same call.
        let key = format!("{}-{}", self.session, self.step);
        let answered = tools::call(name, arguments, &key);
        let (text, is_error) = match &answered {
            Ok(answer) => (answer.text.clone(), answer.is_error),
            Err(error) => (error.to_string(), true),
        };
        self.answer(&text, is_error)?;
        if is_error {
            return Ok(Err(format!("{name}: {text}")));
        }
        self.waits = answered.is_ok_and(|answer| answer.ends_turn);
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
        if added
            && self.resumed
            && run(&git(&["diff", "--cached", "--quiet"])).is_ok_and(|it| it.status.success())
        {
            self.say("Nothing is left to commit.")?;
            return Ok(Ok(()));
        }
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

    fn use_tokens(&self, count: u64) -> io::Result<()> {
        self.print(json!({
            "type": "assistant",
            "message": {
                "id": format!("message-{}", self.turns),
                "role": "assistant",
                "model": "scripted",
                "content": [],
                "usage": { "input_tokens": count, "output_tokens": 0 },
            },
            "parent_tool_use_id": null,
            "session_id": self.session,
        }))
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
            "structured_output": self.output,
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

fn ends_with(path: &str, text: &str) -> bool {
    fs::read(path).is_ok_and(|content| content.ends_with(text.as_bytes()))
}

fn make_folder_of(path: &str) -> io::Result<()> {
    match Path::new(path).parent() {
        Some(folder) => fs::create_dir_all(folder),
        None => Ok(()),
    }
}
