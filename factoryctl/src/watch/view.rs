//! The three forms of a watch: for people, the agent's own lines, and JSON lines.

use anstyle::AnsiColor;
use factory_proto::v1;
use factory_proto::v1::LogStream;

use crate::exit::CommandError;
use crate::render::console::{DIM, style};
use crate::render::json::{EndedView, EventView, LogLineView, TaskView, stream_name};
use crate::render::transcript::Transcript;
use crate::render::{Console, Format, event, plain, summary, units};
use crate::watch::cursor::WatchCursor;
use crate::watch::lines::Line;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Readable,
    /// What agents printed on stdout, byte for byte.
    Raw,
    JsonLines,
}

/// Prints what a watch sees.
#[derive(Debug, Clone, Copy)]
pub struct View {
    console: Console,
    form: Form,
    /// Several tasks: each line says which it is about.
    prefixed: bool,
}

impl View {
    pub fn new(console: Console, raw: bool, prefixed: bool) -> Self {
        let form = match (raw, console.for_people()) {
            (true, _) => Form::Raw,
            (false, true) => Form::Readable,
            (false, false) => Form::JsonLines,
        };
        // A stream has no end at which one JSON value could be closed.
        let format = if form == Form::JsonLines { Format::Jsonl } else { console.format };
        Self { console: Console { format }, form, prefixed }
    }

    pub fn event(&self, event: &v1::Event, cursor: &WatchCursor) -> Result<(), CommandError> {
        match self.form {
            Form::Raw => {
                if let Some(step) = event::next_step(event) {
                    let asked = event::sentence(event);
                    self.console.note(format_args!("{}{asked}; {step}", self.prefix(event.task_number)));
                }
                Ok(())
            }
            Form::JsonLines => self.console.value(&EventView::new(event, cursor.to_string())),
            // The summary, which follows at once, says it with all that belongs to it.
            Form::Readable if event.state().is_terminal() => Ok(()),
            Form::Readable => {
                let time = units::clock(event.at_ms);
                self.line(event.task_number, &format!("{DIM}{time}{DIM:#} {}", event::sentence(event)))?;
                match event::next_step(event) {
                    Some(step) => self.line(event.task_number, &format!("    {step}")),
                    None => Ok(()),
                }
            }
        }
    }

    /// `cursor` is where a watch goes on after this line; a plain look at a log has none.
    pub fn log_line(
        &self,
        task: u64,
        transcript: &mut Transcript,
        line: &Line,
        cursor: Option<&WatchCursor>,
    ) -> Result<(), CommandError> {
        match self.form {
            Form::Raw if line.stream == LogStream::Stdout => {
                let mut data = Vec::with_capacity(line.data.len() + 1);
                data.extend_from_slice(&line.data);
                data.push(b'\n');
                self.console.bytes(&data)
            }
            Form::Raw => Ok(()),
            Form::JsonLines => self.console.value(&LogLineView {
                line_type: "log",
                cursor: cursor.map(WatchCursor::to_string),
                at: units::rfc3339(line.at_ms),
                task,
                attempt: line.attempt,
                offset: line.offset,
                stream: stream_name(line.stream),
                text: &String::from_utf8_lossy(&line.data),
            }),
            Form::Readable => {
                let mut shown = transcript.lines(line.stream, &line.data).into_iter();
                shown.try_for_each(|text| self.line(task, &text))
            }
        }
    }

    /// Why a task still waits. Not part of its history, so it has no cursor.
    pub fn waiting(&self, task: u64, why: &str) -> Result<(), CommandError> {
        let yellow = style(AnsiColor::Yellow);
        let text = format!("{yellow}waits:{yellow:#} {}", plain::line(why));
        match self.form {
            Form::Readable => self.line(task, &text),
            Form::Raw | Form::JsonLines => {
                self.console.note(format_args!("[{task}] {text}"));
                Ok(())
            }
        }
    }

    pub fn ended(&self, task: &v1::Task) -> Result<(), CommandError> {
        match self.form {
            Form::JsonLines => {
                self.console.value(&EndedView { line_type: "ended", task: TaskView::from(task) })
            }
            Form::Readable => summary::lines(task).iter().try_for_each(|text| self.line(task.number, text)),
            Form::Raw => {
                for text in summary::lines(task) {
                    self.console.note(format_args!("{}{text}", self.prefix(task.number)));
                }
                Ok(())
            }
        }
    }

    /// Word of the watch itself, beside what it shows.
    pub fn note(&self, text: &str) {
        self.console.note(format_args!("{DIM}{text}{DIM:#}"));
    }

    fn line(&self, task: u64, text: &str) -> Result<(), CommandError> {
        self.console.line(format_args!("{}{text}", self.prefix(task)))
    }

    fn prefix(&self, task: u64) -> String {
        const COLORS: [AnsiColor; 6] = [
            AnsiColor::Cyan,
            AnsiColor::Magenta,
            AnsiColor::Blue,
            AnsiColor::Green,
            AnsiColor::Yellow,
            AnsiColor::BrightCyan,
        ];
        if !self.prefixed {
            return String::new();
        }
        let style = style(COLORS[(task % COLORS.len() as u64) as usize]);
        format!("{style}{:>4}{style:#} ", format!("[{task}]"))
    }
}
