//! Files that no other task may hold meanwhile.

use std::time::Duration;

use factory_proto::v1;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::{schemars, tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Tools;
use crate::mcp::words;

/// What the coordinator takes.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct LockFiles {
    /// Paths and globs (`*`, `?`, `**`) from the repository's root, such as `["src/auth/**", "Cargo.lock"]`. A
    /// directory stands for all below it.
    paths: Vec<String>,
    /// How long to wait for others to give theirs back, 0 to 600; 60 where left out.
    #[serde(default)]
    wait_seconds: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct UnlockFiles {
    /// As they were locked; left out: all that you locked yourself.
    #[serde(default)]
    paths: Vec<String>,
}

#[tool_router(router = locks, vis = "pub(super)")]
impl Tools {
    /// Take files of the repository for yourself, so that no other task that asks for them works on them meanwhile.
    ///
    /// Use it before you change what other tasks are likely to change too and what merges badly: generated files, lock
    /// files, migrations, a module under reconstruction. What your task declared is yours already. Ask for all you
    /// need in one call: you get all of it or none.
    ///
    /// Returns whether you have them, and otherwise who holds them; then do something else first, or end your turn.
    /// They are given back when your work ends, or by unlock_files: do that as soon as you can.
    ///
    /// Example: {"paths": ["migrations/**"], "wait_seconds": 120}
    #[tool(annotations(title = "Lock files", destructive_hint = false, idempotent_hint = true))]
    async fn lock_files(&self, Parameters(wanted): Parameters<LockFiles>) -> CallToolResult {
        let wait = Duration::from_secs(wanted.wait_seconds.unwrap_or(60)).min(LONGEST_WAIT);
        let request = v1::LockFilesRequest {
            attempt: self.seat.attempt(),
            paths: wanted.paths,
            wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        };
        let locked = self.seat.link().call(wait, |mut agents| {
            let request = request.clone();
            async move { agents.lock_files(request).await }
        });
        let locked = locked.await;
        self.answer(locked.and_then(|response| words::locked(&response))).await
    }

    /// Give back files that you locked with lock_files. What your task declared stays yours until its end.
    #[tool(annotations(title = "Unlock files", destructive_hint = false, idempotent_hint = true))]
    async fn unlock_files(&self, Parameters(wanted): Parameters<UnlockFiles>) -> CallToolResult {
        let request = v1::UnlockFilesRequest { attempt: self.seat.attempt(), paths: wanted.paths };
        let unlocked = self.seat.link().call(Duration::ZERO, |mut agents| {
            let request = request.clone();
            async move { agents.unlock_files(request).await }
        });
        let unlocked = unlocked.await;
        self.answer(unlocked.map(|_| "Given back.".to_owned())).await
    }
}
