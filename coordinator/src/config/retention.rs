//! How long, and how much, is kept of tasks that have ended.

use std::time::Duration;

use clap::Args;
use factory_domain::{Keep, Retention};
use serde::Deserialize;

const DAY: u64 = 24 * 60 * 60;
const GIB: u64 = 1024 * 1024 * 1024;

/// In each of them 0 means: without a bound.
#[derive(Debug, Clone, Default, Args)]
pub struct RetentionOptions {
    /// Days to keep the logs of ended tasks; 0: for ever [default: 30]
    #[arg(long, value_name = "DAYS", env = "FACTORY_KEEP_LOGS")]
    pub keep_logs: Option<u32>,
    /// Days to keep the artifacts of ended tasks; 0: for ever. Commits that are nowhere else always stay [default: 90]
    #[arg(long, value_name = "DAYS", env = "FACTORY_KEEP_ARTIFACTS")]
    pub keep_artifacts: Option<u32>,
    /// Remove the oldest logs of ended tasks beyond this; 0: as many as there are [default: 0]
    #[arg(long, value_name = "GIB", env = "FACTORY_MAX_LOGS_GIB")]
    pub max_logs_gib: Option<u32>,
    /// Remove the oldest artifacts of ended tasks beyond this; 0: as many as there are [default: 0]
    #[arg(long, value_name = "GIB", env = "FACTORY_MAX_ARTIFACTS_GIB")]
    pub max_artifacts_gib: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetentionSection {
    keep_logs_days: Option<u32>,
    keep_artifacts_days: Option<u32>,
    max_logs_gib: Option<u32>,
    max_artifacts_gib: Option<u32>,
}

/// Flags and the environment go before the file.
pub(super) fn read(options: &RetentionOptions, file: &RetentionSection) -> Retention {
    let default = Retention::default();
    let age = |given: Option<u32>, default: Option<Duration>| match given {
        None => default,
        Some(0) => None,
        Some(days) => Some(Duration::from_secs(u64::from(days) * DAY)),
    };
    let bytes = |given: Option<u32>| given.filter(|gib| *gib > 0).map(|gib| u64::from(gib) * GIB);
    Retention {
        logs: Keep {
            age: age(options.keep_logs.or(file.keep_logs_days), default.logs.age),
            bytes: bytes(options.max_logs_gib.or(file.max_logs_gib)),
        },
        artifacts: Keep {
            age: age(options.keep_artifacts.or(file.keep_artifacts_days), default.artifacts.age),
            bytes: bytes(options.max_artifacts_gib.or(file.max_artifacts_gib)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_given_is_the_default_and_zero_is_no_bound() {
        assert_eq!(read(&RetentionOptions::default(), &RetentionSection::default()), Retention::default());
        let options = RetentionOptions {
            keep_logs: Some(0),
            keep_artifacts: Some(7),
            max_logs_gib: Some(2),
            max_artifacts_gib: Some(0),
        };
        let file =
            RetentionSection { keep_logs_days: Some(5), max_artifacts_gib: Some(9), ..Default::default() };
        let read = read(&options, &file);
        assert_eq!(read.logs, Keep { age: None, bytes: Some(2 * GIB) });
        assert_eq!(read.artifacts, Keep { age: Some(Duration::from_secs(7 * DAY)), bytes: None });
    }
}
