//! Whether memories are also found by meaning, and by whose vectors.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use crate::embeddings::{ApiKey, EndpointConfig};

#[derive(Debug, Clone, Default, Args)]
pub struct MemoryOptions {
    /// Find memories by meaning too: the URL of an OpenAI-compatible API, such as https://api.openai.com/v1
    #[arg(long, value_name = "URL", env = "FACTORY_EMBEDDINGS_URL")]
    pub embeddings_url: Option<String>,
    /// Which of its models makes the vectors; where it changes, all are made anew
    #[arg(long, value_name = "MODEL", env = "FACTORY_EMBEDDINGS_MODEL")]
    pub embeddings_model: Option<String>,
    /// File that holds its API key
    #[arg(long, value_name = "FILE", env = "FACTORY_EMBEDDINGS_KEY_FILE")]
    pub embeddings_key_file: Option<PathBuf>,
    /// Variable that holds its API key, such as OPENAI_API_KEY
    #[arg(long, value_name = "NAME")]
    pub embeddings_key_env: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MemorySection {
    embeddings_url: Option<String>,
    embeddings_model: Option<String>,
    embeddings_key_file: Option<PathBuf>,
    embeddings_key_env: Option<String>,
}

/// Flags and the environment go before the file. `None`: by words alone.
pub(super) fn read(
    options: MemoryOptions,
    file: MemorySection,
    variable: impl Fn(&str) -> Option<String>,
    problems: &mut Vec<String>,
) -> Option<EndpointConfig> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let url = given(options.embeddings_url.or(file.embeddings_url));
    let model = given(options.embeddings_model.or(file.embeddings_model));
    let key_file = options.embeddings_key_file.or(file.embeddings_key_file);
    let key_env = given(options.embeddings_key_env.or(file.embeddings_key_env));
    let Some(url) = url else {
        if model.is_some() || key_file.is_some() || key_env.is_some() {
            problems.push(
                "memory: embeddings_url is missing; without it nothing else of embeddings is used".into(),
            );
        }
        return None;
    };
    let Some(model) = model else {
        problems.push("memory: embeddings_model is missing; say which model makes the vectors".into());
        return None;
    };
    if let Some(why) = unusable(&url) {
        problems.push(format!("memory: embeddings_url {why}"));
    }
    let key = match (key_file, key_env) {
        (None, None) => return Some(EndpointConfig { url, model, key: None }),
        (Some(_), Some(_)) => {
            Err("memory: give embeddings_key_file or embeddings_key_env, not both".to_owned())
        }
        (Some(path), None) => read_key(&path),
        (None, Some(name)) => variable(&name).and_then(|key| ApiKey::new(key.trim())).ok_or_else(|| {
            format!("memory: the variable {name} must hold one word of visible ASCII characters")
        }),
    };
    match key {
        Ok(key) => Some(EndpointConfig { url, model, key: Some(key) }),
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

/// What is wrong with a URL; it is not repeated, since it may hold a password.
fn unusable(url: &str) -> Option<&'static str> {
    let Ok(url) = reqwest::Url::parse(url) else { return Some("is not a URL") };
    if !matches!(url.scheme(), "http" | "https") {
        return Some("must begin with https:// or http://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("must not carry a password; use embeddings_key_file");
    }
    (url.query().is_some() || url.fragment().is_some()).then_some("must end with its path")
}

fn read_key(path: &Path) -> Result<ApiKey, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("memory: cannot read the key file {}: {error}", path.display()))?;
    let unfit =
        || format!("memory: the key file {} must hold one word of visible ASCII characters", path.display());
    ApiKey::new(text.trim()).ok_or_else(unfit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str, model: &str) -> MemoryOptions {
        let (url, model) = (Some(url.to_owned()), Some(model.to_owned()));
        MemoryOptions { embeddings_url: url, embeddings_model: model, ..MemoryOptions::default() }
    }

    fn load(options: MemoryOptions) -> (Option<EndpointConfig>, Vec<String>) {
        let mut problems = Vec::new();
        let variable = |name: &str| (name == "KEY").then(|| "s3cret".to_owned());
        let config = read(options, MemorySection::default(), variable, &mut problems);
        (config, problems)
    }

    #[test]
    fn nothing_given_is_words_alone_and_half_of_it_is_a_mistake() {
        assert!(matches!(load(MemoryOptions::default()), (None, problems) if problems.is_empty()));
        assert_eq!(load(options("", "m")).1.len(), 1);
        assert_eq!(load(options("http://127.0.0.1:1/v1", "")).1.len(), 1);
    }

    #[test]
    fn a_key_is_read_by_name_and_does_not_print_itself() {
        let by_name = |name: &str| MemoryOptions {
            embeddings_key_env: Some(name.into()),
            ..options("https://x/v1", "m")
        };
        let (config, problems) = load(by_name("KEY"));
        assert!(problems.is_empty() && !format!("{config:?}").contains("s3cret"));
        assert!(config.expect("configured").key.is_some());
        assert_eq!(load(by_name("NOT_SET")).1.len(), 1);
    }

    #[test]
    fn a_url_that_cannot_be_used_is_refused_and_not_repeated() {
        for url in ["nowhere", "ftp://x", "https://me:s3cret@x/v1", "https://x/v1?key=s3cret"] {
            let (_, problems) = load(options(url, "m"));
            assert!(problems.len() == 1 && !problems[0].contains("s3cret"), "{url}: {problems:?}");
        }
    }
}
