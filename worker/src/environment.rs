//! The environment made for an agent. Nothing is inherited: what an agent may see of
//! the worker's own environment is named here, by its adapter, or by the operator
//! (`--pass-env`).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use crate::agents::Job;

/// Names every agent gets where the worker has them.
const BASE: [&str; 25] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TERM",
    "TMPDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
];

/// The marker by which every process of an attempt is found, in `/proc/PID/environ`.
pub const ATTEMPT_MARKER: &str = "FACTORY_ATTEMPT_ID";

/// Where an agent's MCP server is, and the file with the bearer token it asks for.
pub const MCP_URL: &str = "FACTORY_MCP_URL";
pub const MCP_TOKEN_FILE: &str = "FACTORY_MCP_TOKEN_FILE";

/// The worker's own environment, as a value, and what it passes on.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    own: BTreeMap<OsString, OsString>,
    pass: Vec<String>,
}

impl Environment {
    /// The environment of this process, of which `pass` is handed on besides the usual names.
    pub fn capture(pass: Vec<String>) -> Self {
        Self::from_vars(std::env::vars_os(), pass)
    }

    pub fn from_vars(vars: impl IntoIterator<Item = (OsString, OsString)>, pass: Vec<String>) -> Self {
        Self { own: vars.into_iter().collect(), pass }
    }

    /// A variable of the worker's own; one set to nothing counts as not set.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.own.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// What any program the worker starts may have: the base names and no more.
    pub fn base(&self) -> BTreeMap<OsString, OsString> {
        let locale = self.own.iter().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"LC_"));
        let mut env: BTreeMap<_, _> = locale.map(|(name, value)| (name.clone(), value.clone())).collect();
        self.copy(&BASE, &mut env);
        env
    }

    /// An agent's environment: the base, its adapter's `own` names, those the operator passes on,
    /// and who it is.
    pub fn for_agent(&self, job: &Job, own: &[&str]) -> BTreeMap<OsString, OsString> {
        let mut env = self.base();
        self.copy(own, &mut env);
        self.copy(&self.pass, &mut env);
        let mut set = |name: &str, value: String| env.insert(name.into(), value.into());
        set("FACTORY_TASK_ID", job.task.to_string());
        set(ATTEMPT_MARKER, job.attempt.to_string());
        set("FACTORY_ATTEMPT_NUMBER", job.attempt_number.to_string());
        if !job.traceparent.is_empty() {
            set("TRACEPARENT", job.traceparent.clone());
        }
        if let Some(access) = &job.access {
            set(MCP_URL, access.url());
            set(MCP_TOKEN_FILE, access.secret_file.display().to_string());
            reach_loopback(&mut env);
        }
        env
    }

    fn copy<N: AsRef<str>>(&self, names: &[N], into: &mut BTreeMap<OsString, OsString>) {
        for name in names {
            if let Some(value) = self.own.get(OsStr::new(name.as_ref())) {
                into.insert(name.as_ref().into(), value.clone());
            }
        }
    }
}

/// No proxy leads to the endpoint.
fn reach_loopback(env: &mut BTreeMap<OsString, OsString>) {
    for name in ["NO_PROXY", "no_proxy"] {
        let value = env.entry(name.into()).or_default();
        if value.is_empty() {
            value.push("127.0.0.1");
        } else if value != "*" {
            value.push(",127.0.0.1");
        }
    }
}
