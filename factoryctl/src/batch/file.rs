//! Reading a batch's file: which of the three languages it is written in, and what it may hold.

use std::fmt;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::entry::{Entry, Name};
use crate::exit::CommandError;

/// A thousand tasks with long prompts stay far below it.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What a file says, as it is written.
#[derive(Debug, Default)]
pub struct Document {
    pub defaults: Entry,
    pub tasks: Vec<Entry>,
    pub parallel_groups: Vec<Group>,
}

/// Tasks that are meant to run side by side.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub id: Name,
    pub tasks: Vec<Name>,
    /// Nothing in it is in another's way.
    #[serde(default = "yes")]
    pub conflict_free: bool,
    /// Where it is not: what its tasks must not use at the same time, paths or names.
    #[serde(default)]
    pub shared_resources: Vec<String>,
}

const fn yes() -> bool {
    true
}

/// The form with more than tasks in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Full {
    #[serde(default, alias = "track_id")]
    project: Option<String>,
    #[serde(default)]
    defaults: Entry,
    #[serde(alias = "nodes")]
    tasks: Vec<Entry>,
    #[serde(default)]
    parallel_groups: Vec<Group>,
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By hand, since an untagged enum forgets where an error is.
        deserializer.deserialize_any(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of tasks, or {defaults, tasks, parallel_groups}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Document, A::Error> {
        let mut tasks = Vec::new();
        while let Some(task) = items.next_element()? {
            tasks.push(task);
        }
        Ok(Document { tasks, ..Document::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Document, A::Error> {
        let Full { project, mut defaults, tasks, parallel_groups } =
            Full::deserialize(MapAccessDeserializer::new(fields))?;
        defaults.project = defaults.project.or(project);
        Ok(Document { defaults, tasks, parallel_groups })
    }
}

/// Reads a file, or stdin where it is `-`.
pub fn read(file: &Path) -> Result<Document, CommandError> {
    let name = if file == Path::new("-") { "stdin".to_owned() } else { file.display().to_string() };
    let text = text_of(file).map_err(|error| CommandError::Usage(format!("cannot read {name}: {error}")))?;
    let language = Language::of(file, &text);
    language
        .parse(&text)
        .map_err(|why| CommandError::Usage(format!("{name} cannot be read as {language}: {why}")))
}

fn text_of(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().lock().take(MAX_BYTES).read_to_string(&mut text)?;
    } else {
        std::fs::File::open(file)?.take(MAX_BYTES).read_to_string(&mut text)?;
    }
    Ok(text)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Json,
    Toml,
    Yaml,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "JSON",
            Self::Toml => "TOML",
            Self::Yaml => "YAML",
        })
    }
}

impl Language {
    /// By the file's extension; else by how it begins.
    fn of(file: &Path, text: &str) -> Self {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Self::Json,
            Some("toml") => Self::Toml,
            Some("yaml" | "yml") => Self::Yaml,
            _ => Self::by_content(text),
        }
    }

    fn by_content(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let content: Vec<_> = lines.take(2).collect();
        let first = content.first().copied().unwrap_or_default();
        let is_header = first
            .strip_prefix('[')
            .is_some_and(|rest| rest.trim_start_matches('[').starts_with(|c: char| c.is_ascii_alphabetic()));
        let is_key = first.split_once('=').is_some_and(|(key, _)| {
            key.trim_end().chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        });
        match first.chars().next() {
            Some('[') if is_header => Self::Toml,
            Some('[' | '{') => Self::Json,
            _ if is_key => Self::Toml,
            _ => Self::Yaml,
        }
    }

    fn parse(self, text: &str) -> Result<Document, String> {
        match self {
            Self::Json => serde_json::from_str(text).map_err(|error| error.to_string()),
            Self::Toml => toml::from_str(text).map_err(|error| error.to_string()),
            Self::Yaml => serde_saphyr::from_str(text).map_err(|error| error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Document, String> {
        Language::by_content(text).parse(text)
    }

    #[test]
    fn the_language_is_told_from_the_content() {
        for (text, language) in [
            ("[{\"task\": \"x\"}]", Language::Json),
            ("\n{ \"tasks\": [] }", Language::Json),
            ("# a plan\n[[tasks]]\nid = \"a\"", Language::Toml),
            ("project = \"x\"\n[[tasks]]", Language::Toml),
            ("- id: a\n  prompt: x = y", Language::Yaml),
            ("tasks:\n- id: a", Language::Yaml),
        ] {
            assert_eq!(Language::by_content(text), language, "{text}");
        }
    }

    #[test]
    fn the_same_plan_in_three_languages_is_the_same() {
        let json = r#"{"defaults": {"timeout": 90}, "tasks": [{"id": 1, "prompt": "x"}, {"id": "b", "depends_on": [1]}]}"#;
        let toml = "[defaults]\ntimeout = 90\n[[tasks]]\nid = 1\nprompt = \"x\"\n[[tasks]]\nid = \"b\"\ndepends_on = [1]";
        let yaml = "defaults: {timeout: 90s}\ntasks:\n- id: 1\n  prompt: x\n- id: b\n  depends_on: [1]";
        for text in [json, toml, yaml] {
            let document = parsed(text).expect(text);
            assert_eq!(document.defaults.timeout.map(|span| span.0.as_secs()), Some(90), "{text}");
            assert_eq!(document.tasks[0].id, Some(Name("1".to_owned())), "{text}");
            assert_eq!(document.tasks[1].after, Some(vec![Name("1".to_owned())]), "{text}");
        }
    }

    #[test]
    fn a_key_that_is_not_known_is_refused_with_its_line() {
        for text in [
            "[\n  {\"task\": \"x\",\n   \"promt\": \"y\"}\n]",
            "[[tasks]]\nid = \"a\"\npromt = \"y\"",
            "- id: a\n  prompt: x\n  promt: y",
        ] {
            let error = parsed(text).expect_err(text);
            assert!(error.contains("promt"), "{error}");
            assert!(error.contains("line 3") || error.contains("3 |"), "{error}");
        }
    }
}
