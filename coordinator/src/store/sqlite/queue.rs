//! Which of the queued tasks a worker is given: see [`factory_domain::schedule`] for the order,
//! [`factory_domain::limits`] and [`factory_domain::admission`] for what else decides.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use factory_domain::schedule::{Rank, rank};
use factory_domain::{Board, Capacity, Class, Limits, Preference, Running, TaskId, Wish, WorkerId};
use serde::Serialize;

use super::admission::{self, Waiting};
use super::claim::ClaimTasks;
use super::job::Tx;
use super::rows::{self, to_json};
use super::statements;
use crate::store::{Claim, StoreError};

/// The queue as several claims look at it one after the other, each past what those before it took.
pub(super) struct Queue<'l> {
    limits: &'l Limits,
    classes: BTreeMap<i64, Class>,
    /// Counted only where something asks for it: a limit, or more than one submitter.
    running: Running,
    line: Vec<Waiting>,
    /// `None`: nobody queued wants anything for itself.
    board: Option<Board<'l>>,
    taken: HashSet<TaskId>,
}

/// A class of tasks that the worker can take.
#[derive(Serialize)]
struct ClassMet {
    id: i64,
    /// Others that can, too, and take those that prefer them.
    left_to: Vec<WorkerId>,
    #[serde(skip)]
    exclusive: bool,
}

struct Candidate {
    task: TaskId,
    rank: Rank,
    /// The id of its class.
    class: i64,
    /// Its place in the line, where it wants something for itself.
    waiting: Option<usize>,
}

impl<'l> Queue<'l> {
    pub(super) async fn look(claims: &[ClaimTasks], tx: &mut Tx<'l>) -> Result<Self, StoreError> {
        let limits = &tx.rules.limits;
        let classes = admission::queued_classes(tx.connection).await?;
        let mut submitters = classes.values().map(|class| &class.submitter);
        let first = submitters.next();
        let running = match limits.count_classes() || submitters.any(|other| Some(other) != first) {
            true => admission::running(tx.connection).await?,
            false => Running::default(),
        };
        let (mut line, mut board) = (Vec::new(), None);
        if let Some(ClaimTasks { now, .. }) =
            claims.first().filter(|_| classes.values().any(|it| it.exclusive))
        {
            let connected =
                claims.iter().flat_map(|one| one.claim.connected.iter().chain([&one.claim.capacity]));
            line = admission::line(tx.connection, &classes, &connected.collect::<Vec<_>>()).await?;
            board = Some(admission::board(tx.connection, limits, &line, *now).await?);
        }
        Ok(Self { limits, classes, running, line, board, taken: HashSet::new() })
    }

    /// The best that the worker can take, all limits and locks considered. Each class is read from
    /// the front of its own index, so that neither ended tasks nor queued ones of other classes
    /// cost anything.
    pub(super) async fn choose(
        &mut self,
        of: &ClaimTasks,
        tx: &mut Tx<'_>,
    ) -> Result<Vec<TaskId>, StoreError> {
        let (claim, slots) = (&of.claim, of.slots());
        let met = self.met(claim);
        if met.is_empty() || slots == 0 || !super::fleet::may_claim(tx, claim.worker, claim.session).await? {
            return Ok(Vec::new());
        }
        let mut candidates = self.plain(&met, of, tx).await?;
        let by_class: HashMap<i64, &ClassMet> = met.iter().map(|class| (class.id, class)).collect();
        for (place, waiting) in self.line.iter().enumerate() {
            let kept = |preference: Preference, class: &ClassMet| {
                preference.until > of.now && class.left_to.contains(&preference.worker)
            };
            let class = by_class.get(&waiting.class).filter(|_| !claim.except.contains(&waiting.wish.task));
            if class.is_some_and(|class| !waiting.prefers.is_some_and(|preference| kept(preference, class))) {
                let (task, rank) = (waiting.wish.task, waiting.wish.rank);
                candidates.push(Candidate { task, rank, class: waiting.class, waiting: Some(place) });
            }
        }
        Ok(self.pick(candidates, slots, &claim.except))
    }

    fn met(&self, claim: &Claim) -> Vec<ClassMet> {
        let met = self.classes.iter().filter(|(_, class)| class.requirements.met_by(&claim.capacity));
        let met = met.map(|(id, class)| {
            let able = |other: &Capacity| class.requirements.met_by(other);
            let left_to = claim.left_to.iter().filter(|(_, other)| able(other)).map(|(worker, _)| *worker);
            ClassMet { id: *id, left_to: left_to.collect(), exclusive: class.exclusive }
        });
        met.collect()
    }

    /// The first of each class whose tasks want nothing for themselves.
    async fn plain(
        &self,
        met: &[ClassMet],
        of: &ClaimTasks,
        tx: &mut Tx<'_>,
    ) -> Result<Vec<Candidate>, StoreError> {
        let plain: Vec<&ClassMet> = met.iter().filter(|class| !class.exclusive).collect();
        if plain.is_empty() {
            return Ok(Vec::new());
        }
        let found: Vec<(Vec<u8>, i64, i32, i64)> = sqlx::query_as(statements::CANDIDATES)
            .bind(to_json(&plain))
            .bind(to_json(&of.claim.except))
            .bind(i64::try_from(of.slots() + self.taken.len()).unwrap_or(i64::MAX))
            .bind(of.now.as_millis())
            .fetch_all(&mut *tx.connection)
            .await?;
        let read = |(id, number, priority, class): (Vec<u8>, i64, i32, i64)| {
            let (task, rank) = (rows::task_id(&id)?, rank(priority, number.unsigned_abs()));
            Ok(Candidate { task, rank, class, waiting: None })
        };
        found.into_iter().map(read).collect()
    }

    /// One after the other, whoever's turn it is; each that is chosen counts for the next.
    fn pick(&mut self, mut candidates: Vec<Candidate>, slots: usize, except: &[TaskId]) -> Vec<TaskId> {
        let Self { limits, classes, running, line, board, taken } = self;
        candidates.sort_unstable_by_key(|candidate| Reverse(candidate.rank));
        let mut by_submitter: BTreeMap<&Option<String>, Vec<(Candidate, &Class)>> = BTreeMap::new();
        for candidate in candidates.into_iter().filter(|candidate| !taken.contains(&candidate.task)) {
            let Some(class) = classes.get(&candidate.class) else { continue };
            by_submitter.entry(&class.submitter).or_default().push((candidate, class));
        }
        let mut chosen = Vec::with_capacity(slots);
        while chosen.len() < slots {
            let turns = by_submitter.iter_mut().filter_map(|(submitter, theirs)| {
                let (Candidate { rank: (priority, number), .. }, _) = theirs.last()?;
                Some(((*priority, running.of_submitter(submitter), *number), theirs))
            });
            let Some((_, theirs)) = turns.min_by_key(|(turn, _)| *turn) else { break };
            let Some((next, class)) = theirs.pop() else { break };
            let wish = next.waiting.map(|place| &line[place].wish);
            if limits.reached(class, running).is_none() && admit(board.as_mut(), wish, except) {
                running.add(class, 1);
                taken.insert(next.task);
                chosen.push(next.task);
            }
        }
        chosen
    }
}

/// Whether a task can have what it wants for itself; from then on it has it.
fn admit(board: Option<&mut Board<'_>>, wish: Option<&Wish>, except: &[TaskId]) -> bool {
    let Some((board, wish)) = board.zip(wish) else { return true };
    // Who was declined here lately keeps nothing from others.
    let free = board.obstacle(wish, |other| !except.contains(&other)).is_none();
    if free {
        board.grant(wish.clone());
    }
    free
}
