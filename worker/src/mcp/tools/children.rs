//! Tasks of the agent's own, those it waits for, and how far it is.

use std::time::Duration;

use factory_proto::v1;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResult, RequestMetaObject};
use rmcp::{schemars, tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Tools;
use crate::mcp::link::Trouble;
use crate::mcp::words;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct SubmitTask {
    /// One line that says what it is.
    title: String,
    /// All that its agent is told, in Markdown: the goal, where to look, what to leave alone. It has a worktree of
    /// its own and neither your conversation nor your uncommitted changes.
    prompt: String,
    /// What must hold for the task to be done.
    #[serde(default)]
    acceptance: Option<String>,
    /// Who works on it, such as `coder`, `reviewer`, `researcher`, `test` or `docs`.
    #[serde(default)]
    role: Option<String>,
    /// What kind of work it is: `code`, `ui`, `integration`, `test`, `docs` or `config`.
    #[serde(default)]
    task_type: Option<String>,
    /// Branch, tag or commit to start from. Name the branch you pushed where it is to build on your work; left out:
    /// the repository's default branch.
    #[serde(default)]
    base: Option<String>,
    /// Tasks that must have ended well before it starts, such as `["12"]`; it starts from their branches.
    #[serde(default)]
    after: Vec<String>,
    /// Paths and globs it will change. Tasks with overlapping ones do not run at the same time.
    #[serde(default)]
    touches: Vec<String>,
    /// -1000 to 1000; tasks with a higher one go first. Left out: as yours.
    #[serde(default)]
    priority: Option<i32>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct TaskStatus {
    /// Numbers of tasks, such as `["12"]`; left out: your own, your subtasks, and those yours waited for.
    #[serde(default)]
    tasks: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct ReportProgress {
    /// One line, at most 500 bytes: what is done, what comes next.
    text: String,
    /// 0 to 100, where you can tell.
    #[serde(default)]
    percent: Option<u32>,
}

#[tool_router(router = children, vis = "pub(super)")]
impl Tools {
    /// Submit a subtask that another agent works on, at the same time as you.
    ///
    /// Use it for a part that can be told in full in its prompt and that can be done without you: work in another area,
    /// research, a review. Not for what you would do faster yourself: a new agent has to find its way first.
    ///
    /// Returns the task's number at once. You are told when it has ended, with its outcome and branch; there is
    /// no need to poll task_status. Do not wait for it idly: go on, or end your turn where nothing is left to do.
    ///
    /// Example: {"title": "Document the limits", "prompt": "Describe the rate limits of src/limit.rs in docs/limits.md …",
    /// "role": "docs"}
    #[tool(annotations(title = "Submit a subtask", destructive_hint = false))]
    async fn submit_task(
        &self,
        Parameters(task): Parameters<SubmitTask>,
        meta: RequestMetaObject,
    ) -> CallToolResult {
        let submit = async |key| self.submit(&task, key).await;
        let submitted = self.once("submit_task", &task, &meta, submit).await;
        self.answer(
            submitted.map(|task| {
                format!("Submitted as task {}. You will be told when it has ended.", task.number)
            }),
        )
        .await
    }

    /// See how tasks stand: your own, your subtasks, and those yours waited for.
    ///
    /// Returns for each its state, how far its agent says it is, why it waits, and once it has ended its branch and
    /// closing words.
    #[tool(annotations(title = "See tasks", read_only_hint = true))]
    async fn task_status(&self, Parameters(wanted): Parameters<TaskStatus>) -> CallToolResult {
        let request = v1::AgentTaskStatusRequest { attempt: self.seat.attempt(), tasks: wanted.tasks };
        let found = self.seat.link().call(Duration::ZERO, |mut agents| {
            let request = request.clone();
            async move { agents.task_status(request).await }
        });
        let found = found.await;
        self.answer(found.map(|response| words::tasks(&response.tasks))).await
    }

    /// Say in one line how far you are; people see it with the task.
    ///
    /// Use it at turning points (understood, built, tested), a few times in all. It replaces what you said before.
    ///
    /// Example: {"text": "The parser is done and tested; next the command line", "percent": 60}
    #[tool(annotations(title = "Report progress", idempotent_hint = true, destructive_hint = false))]
    async fn report_progress(&self, Parameters(progress): Parameters<ReportProgress>) -> CallToolResult {
        let ReportProgress { text, percent } = progress;
        let request = v1::ReportProgressRequest { attempt: self.seat.attempt(), text, percent };
        let reported = self.seat.link().call(Duration::ZERO, |mut agents| {
            let request = request.clone();
            async move { agents.report_progress(request).await }
        });
        let reported = reported.await;
        self.answer(reported.map(|_| "Noted.".to_owned())).await
    }
}

impl Tools {
    async fn submit(&self, task: &SubmitTask, key: String) -> Result<v1::Submitted, Trouble> {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let spec = v1::TaskSpec {
            title: task.title.clone(),
            prompt: task.prompt.clone(),
            acceptance: text(&task.acceptance),
            role: text(&task.role),
            r#type: text(&task.task_type),
            base: text(&task.base),
            touches: task.touches.clone(),
            priority: task.priority.unwrap_or_default(),
            ..v1::TaskSpec::default()
        };
        let task = v1::NewTask { spec: Some(spec), after: task.after.clone(), ..v1::NewTask::default() };
        let request = v1::AgentSubmitTaskRequest { attempt: self.seat.attempt(), key, task: Some(task) };
        let submitted = self.seat.link().call(Duration::ZERO, |mut agents| {
            let request = request.clone();
            async move { agents.submit_task(request).await }
        });
        submitted.await?.task.ok_or_else(|| Trouble::Refused("the answer names no task".to_owned()))
    }
}
