//! The attempt's place at the endpoint, as long as its agent runs: how it acts, and hears of what is new.

use std::io;
use std::sync::Arc;

use factory_domain::AgentKind;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::assignment::Place;
use super::run::Work;
use super::said::{self, Post};
use crate::blocking;
use crate::mcp::{Seat, Who};

impl Work {
    /// Before the agent's start, where the coordinator knows agents that act.
    pub(super) async fn take_seat(&mut self) -> io::Result<()> {
        let Some(endpoint) = self.host.endpoint.clone().filter(|_| self.host.agents_act()) else {
            return Ok(());
        };
        let (who, spool) = (self.who(), self.spool.clone());
        self.seat = Some(blocking::run(move || endpoint.take(who, &spool)).await?);
        Ok(())
    }

    /// For an agent that was started by an earlier start of the daemon. May block.
    pub(super) fn take_seat_again(&mut self) {
        let Some(endpoint) = self.host.endpoint.clone() else { return };
        match endpoint.take_again(self.who(), &self.spool) {
            Ok(seat) => self.seat = seat,
            Err(error) => tracing::error!(%error, "the agent goes on, but cannot ask, post or lock any more"),
        }
    }

    fn who(&self) -> Who {
        let assignment = &self.assignment;
        // A program reads its task alone: what else there is comes with the first tool it calls.
        let listens = assignment.spec.agent != AgentKind::Command;
        let told = if listens { assignment.notices.cursor } else { 0 };
        let branch = match assignment.place() {
            Some(Place::Worktree(worktree)) => Some(worktree.branch.clone()),
            _ => None,
        };
        Who { worker: self.host.worker, task: assignment.task, told, listens, branch }
    }

    /// Keeps the agent informed until it has ended.
    pub(super) fn keep_informed(&self, ended: CancellationToken) -> impl Future<Output = ()> + use<> {
        let seat = self.seat();
        async move {
            if let Some(seat) = seat {
                seat.keep_informed(&ended).await;
            }
        }
    }

    /// Posts what the agent says for others; how many could not be posted.
    pub(super) fn post_what_is_said(
        &self,
        posts: mpsc::UnboundedReceiver<Post>,
        ended: CancellationToken,
    ) -> impl Future<Output = usize> + use<> {
        let seat = self.seat();
        async move {
            match seat {
                Some(seat) => said::post_all(posts, &seat, &ended).await,
                None => 0,
            }
        }
    }

    fn seat(&self) -> Option<Arc<Seat>> {
        self.seat.as_ref().map(|taken| Arc::clone(&taken.seat))
    }

    /// Whether the agent has ended its turn to wait for an answer.
    pub(super) async fn waits_for_answer(&self) -> bool {
        match &self.seat {
            Some(taken) => taken.seat.waits_for_answer().await,
            None => false,
        }
    }
}
