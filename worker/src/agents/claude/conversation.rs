//! Where Claude Code keeps a conversation: one JSON object a line, in `projects/<any>/<id>.jsonl` of its
//! configuration directory. `--resume` finds it in whichever project it lies, and goes on in that file.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Claude, launch};
use crate::agents::{Conversations, Job};

/// The project of conversations that come from another host; Claude Code's own are named by directory.
const FROM_ELSEWHERE: &str = "factory";

impl Claude {
    fn projects(&self, job: &Job) -> PathBuf {
        let shared = launch::shared_config_dir(&self.environment);
        shared.unwrap_or_else(|| job.agent_home.clone()).join("projects")
    }
}

impl Conversations for Claude {
    fn find(&self, job: &Job) -> io::Result<Option<PathBuf>> {
        match lying(&self.projects(job), job)? {
            Some(path) if holds_words(&path)? => Ok(Some(path)),
            _ => Ok(None),
        }
    }

    fn place(&self, job: &Job) -> io::Result<PathBuf> {
        let projects = self.projects(job);
        let here = lying(&projects, job)?;
        Ok(here.unwrap_or_else(|| projects.join(FROM_ELSEWHERE).join(file_name(job))))
    }
}

fn file_name(job: &Job) -> String {
    format!("{}.jsonl", job.conversation.id())
}

fn lying(projects: &Path, job: &Job) -> io::Result<Option<PathBuf>> {
    let entries = match std::fs::read_dir(projects) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path().join(file_name(job));
        if path.is_file() {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// One that ended before the prompt was written down is not found by `--resume`.
fn holds_words(path: &Path) -> io::Result<bool> {
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        let words = serde_json::from_slice::<Value>(&line?);
        if words.is_ok_and(|line| line["type"] == "user" || line["type"] == "assistant") {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use factory_domain::AgentKind;

    use super::*;
    use crate::agents::fixture;
    use crate::environment::Environment;

    const QUEUED: &str = "{\"type\":\"queue-operation\",\"operation\":\"enqueue\",\"content\":\"do it\"}\n";
    const PROMPT: &str = "{\"type\":\"user\",\"message\":{\"role\":\"user\",\"content\":\"do it\"}}\n";

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    fn job(agent_home: &Path) -> Job {
        Job { agent_home: agent_home.to_owned(), ..fixture::job(AgentKind::Claude, "do it") }
    }

    #[test]
    fn a_conversation_is_found_by_its_id_wherever_it_lies() {
        let home = tempfile::tempdir().expect("a directory");
        let claude = Claude::new(None, Environment::default(), Duration::ZERO);
        let job = job(home.path());
        assert_eq!(claude.find(&job).expect("readable"), None, "no agent was here");
        let from_elsewhere = claude.place(&job).expect("readable");
        assert!(from_elsewhere.starts_with(home.path().join("projects")));

        let path = home.path().join("projects/-work-app").join(file_name(&job));
        write(&path, QUEUED);
        assert_eq!(claude.find(&job).expect("readable"), None, "killed before it had the prompt");
        write(&path, &format!("{QUEUED}{PROMPT}{{\"type\":\"assist"));
        assert_eq!(claude.find(&job).expect("readable").as_deref(), Some(path.as_path()));
        assert_eq!(claude.place(&job).expect("readable"), path, "never two of one id");
    }

    #[test]
    fn with_a_shared_login_it_is_in_the_shared_directory() {
        let (home, shared) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("one"));
        write(&shared.path().join(".credentials.json"), "{}");
        let vars = [("CLAUDE_CONFIG_DIR".into(), shared.path().into())];
        let claude = Claude::new(None, Environment::from_vars(vars, Vec::new()), Duration::ZERO);
        let job = job(home.path());
        let path = claude.place(&job).expect("readable");
        assert!(path.starts_with(shared.path()));
        write(&path, PROMPT);
        assert_eq!(claude.find(&job).expect("readable"), Some(path));
    }
}
