//! What a worker reports of an attempt.

use factory_proto::v1;
use serde::Serialize;

use super::some;

#[derive(Debug, Serialize)]
pub struct ReportView<'a> {
    pub outcome: &'static str,
    pub failure: Option<FailureView<'a>>,
    pub result_text: &'a str,
    pub usage: UsageView<'a>,
    pub agent_session: Option<&'a str>,
    pub exit_code: Option<i32>,
    pub base_commit: Option<&'a str>,
    pub branch: Option<&'a str>,
    pub commits: Vec<CommitView<'a>>,
    pub diff_stat: DiffStatView,
    pub delivery: DeliveryView<'a>,
    /// What the agent answered by its task's schema, as JSON text.
    pub structured_output: Option<&'a str>,
}

impl<'a> From<&'a v1::Report> for ReportView<'a> {
    fn from(report: &'a v1::Report) -> Self {
        Self {
            outcome: match report.outcome() {
                v1::OutcomeKind::Unspecified => "unknown",
                v1::OutcomeKind::Succeeded => "succeeded",
                v1::OutcomeKind::Failed => "failed",
                v1::OutcomeKind::Cancelled => "cancelled",
                v1::OutcomeKind::HandedOver => "handed_over",
                v1::OutcomeKind::Asked => "asked",
            },
            failure: report.failure.as_ref().map(FailureView::from),
            result_text: &report.result_text,
            usage: report.usage.as_ref().map(UsageView::from).unwrap_or_default(),
            agent_session: some(&report.agent_session),
            exit_code: report.exit_code,
            base_commit: some(&report.base_commit),
            branch: some(&report.branch),
            commits: report.commits.iter().map(CommitView::from).collect(),
            diff_stat: report.diff_stat.as_ref().map(DiffStatView::from).unwrap_or_default(),
            delivery: report.delivery.as_ref().map(DeliveryView::from).unwrap_or_default(),
            structured_output: some(&report.structured_output),
        }
    }
}

#[derive(Debug, Default, Serialize)]
pub struct UsageView<'a> {
    pub cost_micro_usd: u64,
    pub turns: u32,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    pub model: Option<&'a str>,
}

impl<'a> From<&'a v1::Usage> for UsageView<'a> {
    fn from(usage: &'a v1::Usage) -> Self {
        Self {
            cost_micro_usd: usage.cost_micro_usd,
            turns: usage.turns,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            model: some(&usage.model),
        }
    }
}

#[derive(Debug, Serialize)]
pub struct CommitView<'a> {
    pub id: &'a str,
    pub subject: &'a str,
}

impl<'a> From<&'a v1::Commit> for CommitView<'a> {
    fn from(commit: &'a v1::Commit) -> Self {
        Self { id: &commit.id, subject: &commit.subject }
    }
}

#[derive(Debug, Default, Serialize)]
pub struct DiffStatView {
    pub files: u32,
    pub insertions: u32,
    pub deletions: u32,
}

impl From<&v1::DiffStat> for DiffStatView {
    fn from(stat: &v1::DiffStat) -> Self {
        Self { files: stat.files, insertions: stat.insertions, deletions: stat.deletions }
    }
}

#[derive(Debug, Default, Serialize)]
pub struct DeliveryView<'a> {
    pub kind: &'static str,
    pub why: Option<&'a str>,
}

impl<'a> From<&'a v1::Delivery> for DeliveryView<'a> {
    fn from(delivery: &'a v1::Delivery) -> Self {
        let kind = match delivery.kind() {
            v1::DeliveryKind::None => "none",
            v1::DeliveryKind::Pushed => "pushed",
            v1::DeliveryKind::Bundled => "bundled",
        };
        Self { kind, why: some(&delivery.why) }
    }
}

#[derive(Debug, Serialize)]
pub struct FailureView<'a> {
    pub reason: &'a str,
    pub message: &'a str,
}

impl<'a> From<&'a v1::Failure> for FailureView<'a> {
    fn from(failure: &'a v1::Failure) -> Self {
        Self { reason: &failure.reason, message: &failure.message }
    }
}
