//! The files of a library: which there are, and what is in them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use factory_domain::Slug;

use super::Problem;

/// Bytes of one file; more is no prompt.
const MAX_SIZE: u64 = 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Role,
    Template,
    Workflow,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Role, Self::Template, Self::Workflow];

    const fn directory(self) -> &'static str {
        match self {
            Self::Role => "roles",
            Self::Template => "templates",
            Self::Workflow => "workflows",
        }
    }

    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Template => "template",
            Self::Workflow => "workflow",
        }
    }

    /// Its name in the engine: templates include one another by their own names.
    pub(super) fn key(self, name: &Slug) -> String {
        match self {
            Self::Role | Self::Workflow => format!("{} {name}", self.what()),
            Self::Template => name.to_string(),
        }
    }

    /// What the names of its files end with. The longer ones first: they name a form of their own.
    const fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Role => &[".md", ".toml"],
            Self::Template => &["-worker.template.md", ".template.md", ".md.j2", ".j2", ".md", ".txt"],
            Self::Workflow => &[".toml", ".yaml", ".yml"],
        }
    }
}

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Text, with a head of TOML between lines of `+++` where it has one.
    Text,
    Toml,
    Yaml,
    /// Text whose placeholders stand in single braces, `{files}`: by the file's ending `.template.md`.
    SingleBraces,
}

/// A file of the library, or a built-in text in its place.
#[derive(Debug)]
pub(super) struct File {
    pub kind: Kind,
    pub name: Slug,
    pub form: Form,
    /// `built-in`, or the path.
    pub source: String,
    pub text: Result<String, Problem>,
}

impl File {
    pub(super) fn key(&self) -> String {
        self.kind.key(&self.name)
    }
}

/// A file as it was found, without a look inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    kind: Kind,
    path: PathBuf,
    modified: Option<SystemTime>,
    length: u64,
}

/// The user's files under `root`, by path. A directory that is not there has none.
pub(super) fn stamps(root: &Path) -> Vec<Stamp> {
    let mut stamps = Vec::new();
    for kind in Kind::ALL {
        let Ok(entries) = fs::read_dir(root.join(kind.directory())) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            // Follows links: a library may be a checkout elsewhere.
            if let Ok(found) = fs::metadata(&path)
                && found.is_file()
            {
                stamps.push(Stamp { kind, path, modified: found.modified().ok(), length: found.len() });
            }
        }
    }
    stamps.sort_by(|a, b| a.path.cmp(&b.path));
    stamps
}

/// The files with their texts. What an editor leaves beside them is passed over.
pub(super) fn read(stamps: &[Stamp]) -> Vec<File> {
    stamps.iter().filter_map(Stamp::read).collect()
}

impl Stamp {
    fn read(&self) -> Option<File> {
        let file_name = self.path.file_name()?.to_str()?;
        let (name, ending) = split_name(self.kind, file_name)?;
        let source = self.path.display().to_string();
        let text = self.text().map_err(|error| Problem::new(&source, 0, error));
        Some(File { kind: self.kind, name, form: form_of(ending), source, text })
    }

    fn text(&self) -> io::Result<String> {
        if self.length > MAX_SIZE {
            let why = format!("is larger than {MAX_SIZE} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        fs::read_to_string(&self.path)
    }
}

fn split_name(kind: Kind, file_name: &str) -> Option<(Slug, &'static str)> {
    let mut endings = kind.endings().iter();
    let (name, ending) =
        endings.find_map(|ending| file_name.strip_suffix(ending).map(|name| (name, *ending)))?;
    Slug::parse(name).ok().map(|name| (name, ending))
}

fn form_of(ending: &str) -> Form {
    match ending {
        ".toml" => Form::Toml,
        ".yaml" | ".yml" => Form::Yaml,
        "-worker.template.md" | ".template.md" => Form::SingleBraces,
        _ => Form::Text,
    }
}
