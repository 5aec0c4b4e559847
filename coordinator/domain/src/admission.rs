//! What tasks take for themselves while they run, files and keys, and who comes first.
//!
//! A task gets its files and keys in the step in which it gets its lease, all of them or none, and
//! gives them back when the lease ends. While it runs its agent may take more files. All who wait,
//! in the queue and at work, stand in one line by [`Rank`]. Who asks is given what it wants unless
//!
//! 1. another *holds* a file that overlaps, or all there is of a key; or
//! 2. another that wants the same stands *before* it in the line, and does not itself wait for the
//!    one who asks.
//!
//! **No two hold the same**, by 1. **Nobody starves**: by 2, who waits is overtaken only by those
//! before it in the line, or by one it waits for anyway. The former are finitely many, since rank
//! grows with every submit (among equal priority: higher ones go first by their submitter's will),
//! the latter hold something that it wants, and no one behind it can take that again. So if every
//! holder ends some time, everyone is served. **Nobody waits for ever in a circle**: a task in the
//! queue holds nothing. An agent at work is refused at once where, through holders alone, waiting
//! would lead back to itself (an agent waits for one thing at a time, so no grant can close a
//! circle), and a circle that leads through a place in the line is broken by the second half of 2.
//! So of those who wait, one can always be served, or waits for one that works.
//!
//! Tasks that no connected worker could take do not stand in the line: they would keep others from
//! files for as long as nobody comes for them. Limits of repositories, roles and the fleet are not
//! part of this; a task that waits for one keeps its place in the line.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use crate::schedule::Rank;
use crate::{Limits, PathPattern, TaskId};

/// What a task wants for itself, or has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Where `files` are; without a repository there are none to share.
    pub repo: Option<String>,
    pub files: Vec<PathPattern>,
    pub keys: Vec<String>,
}

/// A task that waits for what it needs.
#[derive(Debug, Clone)]
pub struct Wish {
    pub task: TaskId,
    pub rank: Rank,
    pub needs: Needs,
}

/// A task that has what it needs.
#[derive(Debug, Clone)]
pub struct Holding {
    pub task: TaskId,
    pub needs: Needs,
}

/// Why a task cannot have what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// A file that overlaps is another's, or will be first.
    File { path: PathPattern, by: TaskId, held: bool },
    /// So many have the key, or will first; one of them.
    Key { key: String, limit: NonZeroU32, by: TaskId },
}

impl Obstacle {
    /// Who is in the way.
    pub const fn by(&self) -> TaskId {
        match self {
            Self::File { by, .. } | Self::Key { by, .. } => *by,
        }
    }
}

/// Who has what, and who waits.
#[derive(Debug, Clone)]
pub struct Board<'l> {
    limits: &'l Limits,
    holdings: BTreeMap<TaskId, Vec<Needs>>,
    /// One wish a task, in the order of the line.
    line: BTreeMap<(Rank, TaskId), Needs>,
}

impl<'l> Board<'l> {
    pub fn new(
        limits: &'l Limits,
        holdings: impl IntoIterator<Item = Holding>,
        wishes: impl IntoIterator<Item = Wish>,
    ) -> Self {
        let mut board = Self { limits, holdings: BTreeMap::new(), line: BTreeMap::new() };
        for Holding { task, needs } in holdings {
            board.hold(task, needs);
        }
        for Wish { task, rank, needs } in wishes {
            board.line.insert((rank, task), needs);
        }
        board
    }

    /// The wish is granted: the task has what it needs, and stands in the line no longer.
    pub fn grant(&mut self, wish: Wish) {
        self.line.remove(&(wish.rank, wish.task));
        self.hold(wish.task, wish.needs);
    }

    fn hold(&mut self, task: TaskId, needs: Needs) {
        self.holdings.entry(task).or_default().push(needs);
    }

    /// The first thing in the way of a wish; `None`: it can be granted. Only those before it for whom
    /// `stands` holds stand in the line.
    pub fn obstacle(&self, wish: &Wish, stands: impl Fn(TaskId) -> bool) -> Option<Obstacle> {
        let before: Vec<_> = self.before(wish).filter(|(task, _)| stands(*task)).collect();
        self.held_from(wish).next().or_else(|| {
            let mut keys = wish.needs.keys.iter();
            keys.find_map(|key| self.key_obstacle(wish, key, &before)).or_else(|| {
                let mut before = before.iter();
                before.find_map(|(task, needs)| promised(*task, needs, wish))
            })
        })
    }

    /// All files in the way of a wish.
    pub fn files_in_the_way(&self, wish: &Wish) -> Vec<Obstacle> {
        let promised = self.before(wish).filter_map(|(task, needs)| promised(task, needs, wish));
        self.held_from(wish).chain(promised).collect()
    }

    /// Where waiting for a wish would never end: the tasks that it would wait for one after the
    /// other, each for the next, and the last for the one whose wish it is.
    pub fn circle(&self, wish: &Wish) -> Option<Vec<TaskId>> {
        let holders = self.held_from(wish).map(|held| held.by());
        holders.collect::<BTreeSet<_>>().into_iter().find_map(|holder| self.path(holder, wish.task, false))
    }

    fn key_obstacle(&self, wish: &Wish, key: &str, before: &[(TaskId, &Needs)]) -> Option<Obstacle> {
        let limit = self.limits.of_key(key)?;
        let has = |needs: &Needs| needs.keys.iter().any(|held| held == key);
        let holders = self.holdings.iter().filter(|(task, held)| **task != wish.task && held.iter().any(has));
        let first = before.iter().filter(|(_, needs)| has(needs)).map(|(task, _)| *task);
        let mut ahead = holders.map(|(task, _)| *task).chain(first);
        let by = ahead.next()?;
        let others = u32::try_from(ahead.count()).unwrap_or(u32::MAX);
        (others.saturating_add(1) >= limit.get()).then(|| Obstacle::Key { key: key.to_owned(), limit, by })
    }

    /// Files that others hold.
    fn held_from<'b>(&'b self, wish: &'b Wish) -> impl Iterator<Item = Obstacle> + 'b {
        self.holdings.iter().filter(|(task, _)| **task != wish.task).flat_map(|(task, held)| {
            let clashes = held.iter().flat_map(|needs| needs.clashes(&wish.needs));
            clashes.map(|path| Obstacle::File { path: path.clone(), by: *task, held: true })
        })
    }

    /// Those before it in the line who want the same, and do not wait for it themselves.
    fn before<'b>(&'b self, wish: &'b Wish) -> impl Iterator<Item = (TaskId, &'b Needs)> + 'b {
        self.line
            .range(..(wish.rank, wish.task))
            .map(|((_, task), needs)| (*task, needs))
            .filter(|(task, needs)| *task != wish.task && needs.meets(&wish.needs))
            .filter(|(task, _)| {
                !self.holdings.contains_key(&wish.task) || self.path(*task, wish.task, true).is_none()
            })
    }

    /// The tasks from one that waits to one that it waits for, both included but the last; through
    /// holders alone or, `by_rank`, through places in the line as well.
    fn path(&self, from: TaskId, to: TaskId, by_rank: bool) -> Option<Vec<TaskId>> {
        let (mut seen, mut paths) = (BTreeSet::from([from]), vec![vec![from]]);
        while let Some(path) = paths.pop() {
            for next in path.last().map(|last| self.waited_for(*last, by_rank)).unwrap_or_default() {
                if next == to {
                    return Some(path);
                }
                if seen.insert(next) {
                    paths.push(path.iter().copied().chain([next]).collect());
                }
            }
        }
        None
    }

    fn waited_for(&self, task: TaskId, by_rank: bool) -> Vec<TaskId> {
        let wishes = self.line.iter().filter(|((_, of), _)| *of == task);
        let of = |(place, needs): (&(Rank, TaskId), &Needs)| {
            let taken = needs.keys.iter().filter(|key| self.is_used_up(key)).cloned().collect();
            let denied = Needs { keys: taken, ..needs.clone() };
            let holders =
                self.holdings.iter().filter(|(_, held)| held.iter().any(|held| held.meets(&denied)));
            let before = self.line.range(..*place).filter(|(_, before)| by_rank && before.meets(needs));
            let all = holders.map(|(task, _)| *task).chain(before.map(|((_, task), _)| *task));
            all.filter(|other| *other != task).collect::<Vec<_>>()
        };
        wishes.flat_map(of).collect()
    }

    fn is_used_up(&self, key: &String) -> bool {
        let has = |held: &&Vec<Needs>| held.iter().any(|needs| needs.keys.contains(key));
        self.limits
            .of_key(key)
            .is_some_and(|limit| self.holdings.values().filter(has).count() >= limit.get() as usize)
    }
}

/// What one before it in the line will have first.
fn promised(task: TaskId, needs: &Needs, wish: &Wish) -> Option<Obstacle> {
    let path = needs.clashes(&wish.needs).next()?.clone();
    Some(Obstacle::File { path, by: task, held: false })
}

impl Needs {
    pub const fn is_empty(&self) -> bool {
        self.files.is_empty() && self.keys.is_empty()
    }

    /// The files of these that overlap with some of others.
    fn clashes<'n>(&'n self, other: &'n Self) -> impl Iterator<Item = &'n PathPattern> + 'n {
        let same_repo = self.repo.is_some() && self.repo == other.repo;
        let files = self.files.iter().filter(move |_| same_repo);
        files.filter(|file| other.files.iter().any(|wanted| wanted.overlaps(file)))
    }

    /// Whether both want something that is the same.
    fn meets(&self, other: &Self) -> bool {
        self.keys.iter().any(|key| other.keys.contains(key)) || self.clashes(other).next().is_some()
    }
}
