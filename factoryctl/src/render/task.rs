//! One task in full, for people.

use std::fmt::Write as _;

use factory_domain::FailureReason;
use factory_proto::v1;
use factory_proto::v1::TaskState;

use crate::render::console::{BOLD, DIM, style};
use crate::render::{advice, page, plain, units};

/// Characters of why a push failed: git hints at length, and the attempt's log has it all.
const WHY_WIDTH: usize = 200;

/// Everything but the table of attempts.
pub fn page(task: &v1::Task, attempts: &[v1::Attempt], now_ms: i64) -> String {
    let mut page = Page::default();
    let spec = task.spec.clone().unwrap_or_default();
    page.heading(task, &spec);
    page.field("id", &task.id);
    page.field(
        "submitted",
        &format!(
            "{} ({} ago)",
            units::moment(task.submitted_at_ms),
            units::age(task.submitted_at_ms, now_ms)
        ),
    );
    if task.ended_at_ms != 0 {
        page.field(
            "ended",
            &format!(
                "{}, after {}",
                units::moment(task.ended_at_ms),
                units::span(task.ended_at_ms - task.submitted_at_ms)
            ),
        );
    }
    page.present(task, now_ms);
    page.wanted(&spec);
    page.field("goes on from", &task.goes_on_from);
    page.field("retry of", &task.retry_of);
    page.field("retried as", &task.retried_as);
    if let Some(report) = &task.report {
        page.work(report, task.number);
    }
    page.artifacts(attempts);
    page.failure(task);
    page.0
}

/// Whether what came before a pause is a usage limit, which the pause waits out.
pub fn is_limited(failure: &Option<v1::Failure>) -> bool {
    let reason = FailureReason::UsageLimit.as_str();
    failure.as_ref().is_some_and(|failure| failure.reason == reason)
}

pub fn state_style(state: TaskState) -> anstyle::Style {
    use anstyle::AnsiColor as C;
    match state {
        TaskState::Unspecified | TaskState::Blocked | TaskState::Queued => DIM,
        TaskState::Leased | TaskState::Running => style(C::Cyan),
        TaskState::Cancelling | TaskState::Parked | TaskState::Waiting => style(C::Yellow),
        TaskState::Succeeded => style(C::Green),
        TaskState::Failed => style(C::Red),
        TaskState::Cancelled => style(C::Magenta),
    }
}

/// How a task's commits were delivered, in a sentence; empty where there was nothing to deliver.
pub fn delivery(report: &v1::Report, number: u64) -> String {
    let delivery = report.delivery.clone().unwrap_or_default();
    match delivery.kind() {
        v1::DeliveryKind::None => String::new(),
        v1::DeliveryKind::Pushed => "pushed to the origin".to_owned(),
        v1::DeliveryKind::Bundled => {
            let why = if delivery.why.is_empty() {
                String::new()
            } else {
                format!(" ({})", plain::shorten(&plain::line(&delivery.why), WHY_WIDTH))
            };
            format!("not pushed{why}; kept as a bundle: `factoryctl result {number} --bundle FILE`")
        }
    }
}

#[derive(Default)]
struct Page(String);

// Writing to a String cannot fail.
impl Page {
    fn heading(&mut self, task: &v1::Task, spec: &v1::TaskSpec) {
        let style = state_style(task.state());
        let state = task.state().name();
        let title = plain::line(&spec.title);
        let _ = writeln!(self.0, "{BOLD}Task {}{BOLD:#}  {style}{state}{style:#}  {title}", task.number);
    }

    fn field(&mut self, name: &str, value: &str) {
        page::field(&mut self.0, name, value);
    }

    /// What is going on now.
    fn present(&mut self, task: &v1::Task, now_ms: i64) {
        let unreachable = if task.unreachable { ", not heard of since its lease ran out" } else { "" };
        if !task.worker_name.is_empty() {
            self.field("worker", &format!("{}{unreachable}", task.worker_name));
        }
        for file in &task.files {
            self.field("holds", &format!("{}, since {}", file.path, units::moment(file.since_ms)));
        }
        match task.state() {
            TaskState::Queued if task.waiting_for.is_empty() => self.field("waits for", "a free slot"),
            TaskState::Queued | TaskState::Blocked | TaskState::Waiting => {
                self.field("waits for", &task.waiting_for);
            }
            TaskState::Parked if is_limited(&task.failure) => {
                let until = units::until_moment(task.wake_at_ms, now_ms);
                self.field("parked", &format!("until {until} (usage limit)"));
            }
            TaskState::Parked if task.waiting_for.is_empty() => {
                self.field("next try", &units::until(task.wake_at_ms, now_ms));
            }
            TaskState::Parked => {
                let until = units::until(task.wake_at_ms, now_ms);
                self.field("next try", &format!("{until}: {}", task.waiting_for));
            }
            _ => {}
        }
        self.field("cancelled", &task.cancelled_because);
        let percent = task.progress_percent.map(|percent| format!(" ({percent}%)")).unwrap_or_default();
        if !task.progress.is_empty() {
            self.field("progress", &format!("{}{percent}", task.progress));
        }
    }

    fn wanted(&mut self, spec: &v1::TaskSpec) {
        let agent = if spec.model.is_empty() {
            spec.agent.clone()
        } else {
            format!("{} ({})", spec.agent, spec.model)
        };
        self.field("agent", &agent);
        if !spec.argv.is_empty() {
            self.field("argv", &format!("{:?}", spec.argv));
        }
        self.field("role", &spec.role);
        self.field("type", &spec.r#type);
        self.field("issue", &spec.issue);
        self.field("project", &spec.project);
        self.field("repository", if spec.repo.is_empty() { "none" } else { &spec.repo });
        self.field("base", &spec.base);
        self.field("directory", &spec.directory);
        self.field("touches", &spec.touches.join(" "));
        self.field("keys", &spec.keys.join(" "));
        self.field("acceptance", &spec.acceptance);
        if !spec.labels.is_empty() {
            let mut labels: Vec<_> =
                spec.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            labels.sort();
            self.field("labels", &labels.join(" "));
        }
        if spec.priority != 0 {
            self.field("priority", &spec.priority.to_string());
        }
        let limits = limits(spec);
        self.field("limits", &limits.join(", "));
        self.field("set-up", &spec.setup);
    }

    fn work(&mut self, report: &v1::Report, number: u64) {
        self.field("branch", &report.branch);
        self.field("delivery", &delivery(report, number));
        self.field("change", &units::diff_stat(&report.diff_stat.unwrap_or_default()));
        for (index, commit) in report.commits.iter().enumerate() {
            let name = if index == 0 { "commits" } else { "" };
            let id: String = commit.id.chars().take(9).collect();
            self.field(name, &format!("{id} {}", commit.subject));
        }
        let usage = report.usage.clone().unwrap_or_default();
        if usage.turns != 0 || usage.cost_micro_usd != 0 {
            let model = if usage.model.is_empty() { String::new() } else { format!(" on {}", usage.model) };
            let cost = units::money(usage.cost_micro_usd);
            self.field("usage", &format!("{cost}, {}{model}", units::count(usage.turns.into(), "turn")));
        }
    }

    fn artifacts(&mut self, attempts: &[v1::Attempt]) {
        let kept = attempts.iter().flat_map(|attempt| {
            attempt.artifacts.iter().map(move |artifact| {
                let (name, size) = (artifact_name(artifact), units::bytes(artifact.bytes));
                format!("{name} ({size}, attempt {})", attempt.number)
            })
        });
        for (index, artifact) in kept.enumerate() {
            self.field(if index == 0 { "kept" } else { "" }, &artifact);
        }
    }

    fn failure(&mut self, task: &v1::Task) {
        let Some(failure) = &task.failure else { return };
        let red = style(anstyle::AnsiColor::Red);
        let message = plain::text(&failure.message).trim_end().replace('\n', "\n    ");
        let _ = writeln!(self.0, "\n  {red}{}{red:#}: {message}", plain::line(&failure.reason));
        if task.state() == TaskState::Failed
            && let Some(step) = advice::after(&failure.reason, task.number)
        {
            let _ = writeln!(self.0, "  {DIM}next:{DIM:#} {step}");
        }
    }
}

fn artifact_name(artifact: &v1::Artifact) -> String {
    match artifact.kind() {
        v1::ArtifactKind::CheckpointWork => format!("checkpoint {}: work", artifact.name),
        v1::ArtifactKind::CheckpointTranscript => format!("checkpoint {}: conversation", artifact.name),
        _ => plain::line(&artifact.name),
    }
}

fn limits(spec: &v1::TaskSpec) -> Vec<String> {
    let span = |millis: u64| units::span(i64::try_from(millis).unwrap_or(i64::MAX));
    let mut limits = Vec::new();
    limits.extend(spec.max_attempts.map(|n| units::count(n.into(), "attempt")));
    limits.extend(spec.timeout_ms.map(|ms| format!("{} in all", span(ms))));
    limits.extend(spec.idle_timeout_ms.map(|ms| format!("{} idle", span(ms))));
    limits.extend(spec.budget_micro_usd.map(units::money));
    limits.extend(spec.budget_tokens.map(|n| units::count(n, "token")));
    limits.extend(spec.max_turns.map(|n| units::count(n.into(), "turn")));
    limits
}
