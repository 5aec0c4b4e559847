//! What waits for the writer: a verb, its callers, and how it is run among others.

use std::any::Any;
use std::future::Future;

use async_trait::async_trait;
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::error::Failure;
use super::placements::Placements;
use crate::store::{Rules, StoreError};

/// One write: runs wholly inside the group's transaction, and awaits nothing but the database.
///
/// An error that is not the store's own is a refusal: it is found before the verb writes anything.
pub(super) trait Verb: Send + Sync + Sized + 'static {
    type Output: Send + 'static;
    type Error: Failure;

    fn run(&self, tx: &mut Tx<'_>) -> impl Future<Output = Outcome<Self>> + Send;

    /// Runs neighbours as one, to the same end as one after the other. Where the
    /// store fails, all of it is undone, and each is then run by itself.
    fn run_set(
        verbs: &[Self],
        tx: &mut Tx<'_>,
    ) -> impl Future<Output = Result<Vec<Outcome<Self>>, StoreError>> + Send {
        async move {
            let mut outcomes = Vec::with_capacity(verbs.len());
            for verb in verbs {
                let outcome = verb.run(tx).await;
                if let Some(failed) = outcome.as_ref().err().and_then(Failure::of_the_store) {
                    return Err(failed.clone());
                }
                outcomes.push(outcome);
            }
            Ok(outcomes)
        }
    }
}

pub(super) type Outcome<V> = Result<<V as Verb>::Output, <V as Verb>::Error>;

/// The group's transaction, as a verb sees it.
pub(super) struct Tx<'c> {
    pub connection: &'c mut SqliteConnection,
    pub placements: &'c mut Placements,
    pub rules: &'c Rules,
    /// The feed's last cursor, as of this transaction.
    pub cursor: u64,
    /// Number of the board's newest message, likewise.
    pub message: u64,
}

/// Calls of one verb, its type hidden.
#[async_trait]
pub(super) trait Job: Any + Send {
    /// Takes over the calls of `next` where they are of the same verb.
    fn absorb(&mut self, next: &mut dyn Job) -> bool;
    fn calls(&self) -> usize;
    /// Runs all calls as a set.
    async fn run_set(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError>;
    /// Runs one call by itself; the error is given where it is the store's own.
    async fn run_one(&mut self, call: usize, tx: &mut Tx<'_>) -> Result<(), Option<StoreError>>;
    /// Answers each call, once it is known whether the group was committed.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

pub(super) struct Calls<V: Verb> {
    verbs: Vec<V>,
    callers: Vec<Caller<V>>,
}

struct Caller<V: Verb> {
    outcome: Option<Outcome<V>>,
    reply: oneshot::Sender<Outcome<V>>,
}

impl<V: Verb> Calls<V> {
    pub(super) fn of(verb: V, reply: oneshot::Sender<Outcome<V>>) -> Self {
        Self { verbs: vec![verb], callers: vec![Caller { outcome: None, reply }] }
    }
}

#[async_trait]
impl<V: Verb> Job for Calls<V> {
    fn absorb(&mut self, next: &mut dyn Job) -> bool {
        let next: &mut dyn Any = next;
        let Some(next) = next.downcast_mut::<Self>() else { return false };
        self.verbs.append(&mut next.verbs);
        self.callers.append(&mut next.callers);
        true
    }

    fn calls(&self) -> usize {
        self.verbs.len()
    }

    async fn run_set(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let outcomes = V::run_set(&self.verbs, tx).await?;
        for (caller, outcome) in self.callers.iter_mut().zip(outcomes) {
            caller.outcome = Some(outcome);
        }
        Ok(())
    }

    async fn run_one(&mut self, call: usize, tx: &mut Tx<'_>) -> Result<(), Option<StoreError>> {
        let outcome = self.verbs[call].run(tx).await;
        let kept = outcome.as_ref().map(|_| ()).map_err(|error| error.of_the_store().cloned());
        self.callers[call].outcome = Some(outcome);
        kept
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        for Caller { outcome, reply } in self.callers {
            let answer = match (committed.clone(), outcome) {
                (_, Some(Err(own))) => Err(own),
                (Ok(()), Some(Ok(output))) => Ok(output),
                (Ok(()), None) => Err(StoreError::Closed.into()),
                (Err(error), _) => Err(error.into()),
            };
            // Nobody may be waiting any more; what was written stays written.
            drop(reply.send(answer));
        }
    }
}
