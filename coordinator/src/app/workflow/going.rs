//! Whether anything that happens could move a workflow on.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Wakes the reconciler of workflows. While none is open, tasks that end wake nobody.
#[derive(Debug)]
pub(crate) struct Going {
    poke: Notify,
    any: AtomicBool,
}

impl Default for Going {
    /// A start finds out whether there are any.
    fn default() -> Self {
        Self { poke: Notify::new(), any: AtomicBool::new(true) }
    }
}

impl Going {
    /// A workflow began.
    pub fn begun(&self) {
        self.any.store(true, Ordering::SeqCst);
        self.poke.notify_one();
    }

    /// A task ended, which may have been a step's.
    pub fn task_ended(&self) {
        if self.any.load(Ordering::SeqCst) {
            self.poke.notify_one();
        }
    }

    /// About to look: what begins from now on is told of anew.
    pub fn looking(&self) {
        self.any.store(false, Ordering::SeqCst);
    }

    /// Some are open.
    pub fn some(&self) {
        self.any.store(true, Ordering::SeqCst);
    }

    pub async fn changed(&self) {
        self.poke.notified().await;
    }
}
