//! Reading and checking one setting at a time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use factory_domain::Labels;
use factory_proto::client::Token;

use super::{FileConfig, MAX_SLOTS, Variables};

/// Where settings come from, and what is wrong with them so far. A setting that is wrong is said, and
/// stands as anything until the end, which it does not reach.
pub struct Layers<'a> {
    pub env: Variables<'a>,
    pub errors: Vec<String>,
}

impl Layers<'_> {
    /// A variable that is set and not empty.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        (self.env)(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    pub fn text(&mut self, name: &str) -> Option<String> {
        let text = self.path(name)?.into_os_string().into_string();
        text.map_err(|_| self.errors.push(format!("{name} is not UTF-8"))).ok()
    }

    pub fn read_file(&mut self, flag: Option<PathBuf>) -> FileConfig {
        let Some(path) = flag.or_else(|| self.path("FACTORY_CONFIG")) else { return FileConfig::default() };
        let read = std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))
            .and_then(|text| {
                // Its message names the line and shows it.
                toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
            });
        read.unwrap_or_else(|error| {
            self.errors.push(error);
            FileConfig::default()
        })
    }

    pub fn root(&mut self, given: Option<PathBuf>) -> PathBuf {
        let root = given.or_else(|| self.path("HOME").map(|home| home.join(".agent-factory")));
        let Some(root) = root else {
            self.errors.push("no root: HOME is not set; name one with --root".to_owned());
            return PathBuf::new();
        };
        // Shims and agents have working directories of their own.
        std::path::absolute(&root).unwrap_or_else(|error| {
            self.errors.push(format!("root {}: {error}", root.display()));
            root
        })
    }

    pub fn token(&mut self, flag: Option<PathBuf>, file: Option<PathBuf>) -> Option<Token> {
        let text = match flag {
            Some(path) => self.read_token(&path)?,
            None => match (self.text("FACTORY_AUTH_TOKEN"), file) {
                (Some(token), _) => token,
                (None, Some(path)) => self.read_token(&path)?,
                (None, None) => return None,
            },
        };
        text.trim().parse().map_err(|error| self.errors.push(format!("token: {error}"))).ok()
    }

    fn read_token(&mut self, path: &Path) -> Option<String> {
        match std::fs::read_to_string(path) {
            Ok(text) if !text.trim().is_empty() => Some(text),
            Ok(_) => {
                self.errors.push(format!("token file {} is empty", path.display()));
                None
            }
            Err(error) => {
                self.errors.push(format!("cannot read token file {}: {error}", path.display()));
                None
            }
        }
    }

    pub fn name(&mut self, name: String) -> String {
        if name.trim().is_empty() || name.len() > 100 || name.chars().any(char::is_control) {
            self.errors.push(format!("name {name:?} must be one line of 1 to 100 bytes"));
        }
        name
    }

    pub fn labels(&mut self, file: BTreeMap<String, String>, flags: &[String]) -> Labels {
        let mut labels = Labels::default();
        let pairs = flags.iter().filter_map(|text| {
            Labels::parse_pair(text).map_err(|error| self.errors.push(error.to_string())).ok()
        });
        let pairs: Vec<_> = pairs.collect();
        for (key, value) in file.into_iter().chain(pairs) {
            if let Err(error) = labels.insert(key, value) {
                self.errors.push(error.to_string());
            }
        }
        labels
    }

    pub fn slots(&mut self, slots: u32) -> u32 {
        if !(1..=MAX_SLOTS).contains(&slots) {
            self.errors.push(format!("slots must be 1 to {MAX_SLOTS}, not {slots}"));
        }
        slots
    }

    pub fn size(&mut self, what: &str, text: &str) -> u64 {
        parse_size(text).unwrap_or_else(|| {
            self.errors.push(format!("{what} `{text}` is not a size, such as 500M, 2G or a number of bytes"));
            0
        })
    }

    pub fn span(&mut self, what: &str, text: &str) -> Duration {
        parse_span(text).unwrap_or_else(|| {
            self.errors.push(format!("{what} `{text}` is not a span of time, such as 30s, 90m, 24h or 7d"));
            Duration::ZERO
        })
    }

    pub fn pass_env(&mut self, file: Vec<String>, flags: Vec<String>) -> Vec<String> {
        let names: Vec<String> = file.into_iter().chain(flags).collect();
        for name in &names {
            if name.is_empty() || name.contains('=') || name.contains('\0') {
                self.errors.push(format!("pass-env `{name}` is not the name of a variable"));
            }
        }
        names
    }
}

/// `512`, `500K`, `500M`, `2G`, `1T`; powers of 1024.
pub fn parse_size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.char_indices().next_back()? {
        (at, 'K' | 'k') => (&text[..at], 10),
        (at, 'M' | 'm') => (&text[..at], 20),
        (at, 'G' | 'g') => (&text[..at], 30),
        (at, 'T' | 't') => (&text[..at], 40),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// `30s`, `90m`, `24h`, `7d`.
pub fn parse_span(text: &str) -> Option<Duration> {
    let (at, unit) = text.char_indices().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return None,
    };
    text[..at].parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}
