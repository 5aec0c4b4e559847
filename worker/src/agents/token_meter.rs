//! What a running agent has used of its task's tokens, as its messages tell.
//!
//! Counted are the tokens a run is charged for in full: input, output and what is written to the
//! cache. What is read from the cache is not: each request reads the whole conversation again at a
//! tenth of the price, so that a sum of it would say more about the number of turns than about cost.
//!
//! Claude Code prints a message a block at a time, each with the same id and the same usage, and
//! before the API has told the length of the answer. So a message counts once, and its output is
//! estimated by its length where that comes to more than what is told.

use std::collections::HashMap;

use factory_domain::{Failure, FailureReason};

use super::stream_json::Tokens;

/// JSON of a message's content for one token of output. English prose has about four.
const BYTES_PER_TOKEN: u64 = 4;

#[derive(Debug, Default)]
pub struct TokenMeter {
    budget: Option<u64>,
    /// By the message's id.
    messages: HashMap<String, Message>,
    used: Tokens,
}

#[derive(Debug, Default)]
struct Message {
    told: Tokens,
    bytes: u64,
}

impl Message {
    fn output(&self) -> u64 {
        self.told.output.max(self.bytes / BYTES_PER_TOKEN)
    }
}

impl TokenMeter {
    /// `None`: there is nothing to keep.
    pub fn new(budget: Option<u64>) -> Self {
        Self { budget, ..Self::default() }
    }

    /// One line of a message: what it tells of its usage, and the bytes of its content.
    pub fn take(&mut self, id: String, told: Tokens, bytes: u64) {
        if self.budget.is_none() {
            return;
        }
        let message = self.messages.entry(id).or_default();
        let (before, output_before) = (message.told, message.output());
        message.told = before.highest(told);
        message.bytes += bytes;
        self.used.input += message.told.input - before.input;
        self.used.cache_write += message.told.cache_write - before.cache_write;
        self.used.output += message.output() - output_before;
    }

    /// Why the agent has to end, once it has used more than its task gives it.
    pub fn exceeded(&self, name: &str) -> Option<Failure> {
        let budget = self.budget?;
        let Tokens { input, output, cache_write, .. } = self.used;
        let used = input + output + cache_write;
        (used > budget).then(|| Failure {
            reason: FailureReason::Budget,
            message: format!(
                "{name} used {used} tokens (input {input}, output about {output}, written to the cache \
                 {cache_write}), more than its budget of {budget}; raise --budget-tokens or split the task"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(input: u64, output: u64, cache_write: u64) -> Tokens {
        Tokens { input, output, cache_write, cache_read: 1_000_000 }
    }

    #[test]
    fn a_message_counts_once_however_many_lines_it_has() {
        let mut meter = TokenMeter::new(Some(100));
        for _ in 0..3 {
            meter.take("a".into(), told(10, 1, 50), 40);
        }
        assert_eq!(meter.exceeded("it"), None, "10 and 50, and 30 by the length of what it said");
        meter.take("b".into(), told(10, 1, 0), 0);
        let failure = meter.exceeded("it").expect("101 of 100");
        assert_eq!(failure.reason, FailureReason::Budget);
        assert!(failure.message.starts_with("it used 101 tokens (input 20, output about 31,"), "{failure}");
    }

    #[test]
    fn without_a_budget_nothing_is_exceeded() {
        let mut meter = TokenMeter::new(None);
        meter.take("a".into(), told(u64::MAX, u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(meter.exceeded("it"), None);
    }
}
