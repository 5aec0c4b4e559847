//! What there is of tasks in all.

use async_trait::async_trait;

use super::StoreError;

/// Sums over all tasks, or over those of one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// By state name, those that have any.
    pub states: Vec<(String, u64)>,
    /// Attempts whose report was accepted, and what they have used.
    pub attempts: u64,
    pub cost_micro_usd: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Questions that nobody has answered.
    pub open_questions: u64,
}

#[async_trait]
pub trait StatsStore: Send + Sync {
    /// Costs the same however many tasks have ended. `repo` is exact, as given at the submit.
    async fn stats(&self, repo: Option<String>) -> Result<Stats, StoreError>;
}
