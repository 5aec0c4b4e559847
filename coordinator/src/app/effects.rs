//! What follows a committed transition. The one place that acts on effects.

use factory_domain::{Effect, Event};

use super::App;
use crate::store::Applied;

impl App {
    /// Acts on what was decided. Nothing here can fail: an effect that is lost
    /// is found again by a heartbeat or a reconciler.
    pub(crate) fn settle(&self, applied: &Applied) {
        tracing::info!(
            task = %applied.task,
            attempt = applied.event.attempt().map(tracing::field::display),
            event = applied.event.name(),
            state = applied.state.name(),
            "task moved"
        );
        self.fences.forget(applied.task);
        if let Event::Answered { .. } = applied.event {
            self.told.notify_waiters();
        }
        if let Some(preference) = applied.prefers {
            self.fleet.keep_for(preference);
        }
        if applied.state.lease().is_none() {
            // What it had for itself may be another's.
            self.freed.notify_waiters();
        }
        if applied.state.is_terminal() {
            self.workflows.task_ended();
        }
        for effect in &applied.effects {
            match effect {
                Effect::Schedule => self.schedule.notify_one(),
                Effect::WakeAt(time) => self.due.set(*time),
                Effect::Stop { worker, attempt } => {
                    let told = self.fleet.stop(*worker, *attempt);
                    tracing::info!(task = %applied.task, %attempt, %worker, told, "asked the worker to stop");
                }
            }
        }
        if applied.parent.is_some() && applied.state.is_terminal() {
            self.told.notify_waiters();
        }
        for followed in &applied.followed {
            self.settle(followed);
        }
    }
}
