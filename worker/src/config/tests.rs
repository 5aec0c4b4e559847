//! Layers of settings, and what is said of mistakes.

use super::layers::{parse_size, parse_span};
use super::*;
use std::io::Write;
use std::path::Path;

fn shim() -> ShimProgram {
    ShimProgram { program: "/bin/false".into(), args: Vec::new() }
}

fn load_with(flags: Flags, env: &[(&str, &str)]) -> Result<WorkerConfig, ConfigErrors> {
    let env: BTreeMap<String, OsString> =
        env.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
    load(flags, &|name| env.get(name).cloned(), shim(), Vec::new()).map(|(config, _)| config)
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    file
}

#[test]
fn flags_outweigh_the_environment_and_that_the_file() {
    let file = file("url = 'http://file:1'\nroot = '/file'\nname = 'file'\nlabels = { a = 'b' }\n");
    let flags = Flags {
        config: Some(file.path().to_owned()),
        url: Some("http://flag:1".into()),
        labels: vec!["c=d".into()],
        ..Flags::default()
    };
    let env = [("FACTORY_URL", "http://env:1"), ("AGENT_FACTORY_DIRPATH", "/env")];
    let config = load_with(flags, &env).expect("valid");
    assert_eq!(config.url, "http://flag:1");
    assert_eq!(config.root, Path::new("/env"));
    assert_eq!(config.name, "file");
    assert_eq!(config.labels.to_string(), "a=b,c=d");
}

#[test]
fn an_unknown_key_names_its_line() {
    let file = file("slots = 2\n\nslotz = 3\n");
    let flags = Flags { config: Some(file.path().to_owned()), ..Flags::default() };
    let errors = load_with(flags, &[("HOME", "/home/x")]).expect_err("refused").to_string();
    assert!(errors.contains("line 3") && errors.contains("slotz"), "{errors}");
}

#[test]
fn every_mistake_is_shown_at_once() {
    let flags = Flags {
        slots: Some(0),
        labels: vec!["nolabel".into()],
        min_free_disk: Some("lots".into()),
        pass_env: vec!["A=B".into()],
        token_file: Some("/nowhere/token".into()),
        ..Flags::default()
    };
    let ConfigErrors(errors) = load_with(flags, &[]).expect_err("refused");
    for part in ["slots", "nolabel", "lots", "A=B", "/nowhere/token", "HOME"] {
        assert!(errors.iter().any(|error| error.contains(part)), "{part} is not in {errors:?}");
    }
}

#[test]
fn spans_are_read() {
    assert_eq!(parse_span("90m"), Some(Duration::from_secs(5400)));
    assert_eq!(parse_span("7d"), Some(Duration::from_secs(7 * 86400)));
    assert_eq!(parse_span("7"), None);
    assert_eq!(parse_span("d"), None);
}

#[test]
fn sizes_are_read() {
    assert_eq!(parse_size("512"), Some(512));
    assert_eq!(parse_size("2G"), Some(2 << 30));
    assert_eq!(parse_size("G"), None);
    assert_eq!(parse_size("99999999999999T"), None);
}
