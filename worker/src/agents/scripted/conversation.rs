//! The scripted agent's conversation: one JSON object a line, first `{"prompt":…}`, then `{"done":N}` for
//! each step of the prompt, counted from 1, that has been taken; what it is told when it is resumed stands
//! between them as `{"told":…}`. Resumed, the agent goes on after the last step done. One that was under
//! way may have been taken all the same, so that a resumed agent looks before it appends or commits.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Where the conversation with this id lies.
pub fn path(agent_home: &Path, id: &str) -> PathBuf {
    agent_home.join("conversations").join(format!("{id}.jsonl"))
}

/// Appended to while the agent works.
pub struct Conversation {
    file: File,
    pub prompt: String,
    /// Steps done so far.
    pub done: usize,
}

impl Conversation {
    pub fn begin(path: &Path, prompt: String) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let mut conversation = Self { file, prompt, done: 0 };
        conversation.write(&json!({ "prompt": conversation.prompt }))?;
        Ok(conversation)
    }

    /// `None`: there is none.
    pub fn resume(path: &Path, told: &str) -> io::Result<Option<Self>> {
        let Some((prompt, done)) = read(path)? else { return Ok(None) };
        let file = OpenOptions::new().append(true).open(path)?;
        let mut conversation = Self { file, prompt, done };
        // Behind a line that was cut off, if one was.
        conversation.file.write_all(b"\n")?;
        conversation.write(&json!({ "told": told }))?;
        Ok(Some(conversation))
    }

    pub fn step_done(&mut self) -> io::Result<()> {
        self.done += 1;
        self.write(&json!({ "done": self.done }))
    }

    fn write(&mut self, line: &Value) -> io::Result<()> {
        self.file.write_all(format!("{line}\n").as_bytes())
    }
}

/// Whether a conversation lies there.
pub fn is_there(path: &Path) -> io::Result<bool> {
    read(path).map(|found| found.is_some())
}

/// The prompt, and how many steps are done.
fn read(path: &Path) -> io::Result<Option<(String, usize)>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let lines = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let lines: Vec<Value> = lines.collect();
    let prompt = lines.iter().find_map(|line| line["prompt"].as_str());
    let done = lines.iter().filter_map(|line| line["done"].as_u64()).max().unwrap_or(0);
    Ok(prompt.map(|prompt| (prompt.to_owned(), usize::try_from(done).unwrap_or(usize::MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_resumed_after_the_last_step_done_though_a_line_was_cut_off() {
        let home = tempfile::tempdir().expect("a directory");
        let path = path(home.path(), "c");
        assert!(Conversation::resume(&path, "on").expect("readable").is_none());
        let mut first = Conversation::begin(&path, "say a\nsay b\nsay c".into()).expect("begun");
        first.step_done().expect("written");
        first.file.write_all(b"{\"do").expect("written");
        drop(first);
        assert!(is_there(&path).expect("readable"));

        let mut second = Conversation::resume(&path, "go on").expect("readable").expect("there is one");
        assert_eq!((second.prompt.as_str(), second.done), ("say a\nsay b\nsay c", 1));
        second.step_done().expect("written");
        let third = Conversation::resume(&path, "go on").expect("readable").expect("there is one");
        assert_eq!(third.done, 2);
    }
}
