use serde::Serialize;
use utoipa::ToSchema;

use super::state::{State, Status};
use crate::app;

/// How much there is, and what it has used.
#[derive(Debug, Serialize, ToSchema)]
pub struct Stats {
    /// Tasks in all.
    tasks: u64,
    /// Every state, also those without tasks.
    states: Vec<StateCount>,
    /// The same, by five names.
    statuses: Vec<StatusCount>,
    /// Attempts whose report was accepted; what follows is what they have used.
    attempts: u64,
    cost_usd: f64,
    input_tokens: u64,
    output_tokens: u64,
    /// Connected.
    workers: u32,
    /// Theirs.
    slots: u32,
    /// Of these, taken.
    busy: u32,
    /// Questions that nobody has answered.
    open_questions: u64,
    /// The event feed's when this was read.
    cursor: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StateCount {
    state: State,
    tasks: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StatusCount {
    status: Status,
    tasks: u64,
}

impl From<app::Stats> for Stats {
    fn from(app::Stats { tasks: sums, workers, slots, busy, cursor }: app::Stats) -> Self {
        let of_state = |state: State| {
            let found = sums.states.iter().find(|(name, _)| name == state.as_str());
            found.map_or(0, |(_, tasks)| *tasks)
        };
        Self {
            tasks: sums.states.iter().map(|(_, tasks)| tasks).sum(),
            states: State::ALL.map(|state| StateCount { state, tasks: of_state(state) }).into(),
            statuses: Status::ALL
                .map(|status| StatusCount { status, tasks: status.states().map(of_state).sum() })
                .into(),
            attempts: sums.attempts,
            cost_usd: sums.cost_micro_usd as f64 / 1e6,
            input_tokens: sums.input_tokens,
            output_tokens: sums.output_tokens,
            workers,
            slots,
            busy,
            open_questions: sums.open_questions,
            cursor,
        }
    }
}
