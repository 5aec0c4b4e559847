//! Every statement, one a name.
//!
//! Rows go in by the set, as one JSON array that `json_each` unrolls; ids in it
//! are UUID text, which `unhex(…, '-')` makes into the sixteen bytes kept.
//! `CROSS JOIN` keeps SQLite from putting the big table outside. `list.rs`
//! alone puts its statement together, from the filters given. What stands apart
//! from the rest has a module of its own.

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        $($(#[$doc])* pub(in crate::store::sqlite) const $name: &str = $sql;)*

        /// All of them by name, for the test that prepares each.
        #[cfg(test)]
        pub(in crate::store::sqlite) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name),)*];
    };
}

pub(super) mod admission;
pub(super) mod board;
pub(super) mod dependencies;
pub(super) mod dispatch;
pub(super) mod family;
pub(super) mod inbox;
pub(super) mod memory;
pub(super) mod questions;
pub(super) mod repos;
pub(super) mod retention;
pub(super) mod stats;
pub(super) mod upstreams;
pub(super) mod workflows;

/// What [`super::rows::TaskRow`] reads, prompt excepted.
macro_rules! task_columns {
    () => {
        "t.id, t.number, t.spec, t.state, t.attempt_id, t.wake_at, t.parked_because, t.failure,
         t.cancelled_because, t.attempts, t.agent_failures, t.infrastructure_failures, t.usage_limits,
         t.prefer_worker, t.prefer_until, t.submitted_at, t.updated_at, t.ended_at, t.retry_of,
         (SELECT r.id FROM tasks r WHERE r.retry_of = t.id ORDER BY r.number DESC LIMIT 1) AS retried_as,
         (SELECT count(*) FROM questions q WHERE q.task_id = t.id AND q.state = 'open') AS open_questions,
         (SELECT json_group_array(json_object('id', hex(n.id), 'number', n.number, 'state', n.state,
                                              'settled', d.settled) ORDER BY d.position)
          FROM dependencies d CROSS JOIN tasks n ON n.id = d.needs_id WHERE d.task_id = t.id) AS after,
         t.on_failed_dependency, t.held, t.parent_id,
         (SELECT p.number FROM tasks p WHERE p.id = t.parent_id) AS parent_number, t.goes_on_from,
         (SELECT count(*) FROM tasks c WHERE c.parent_id = t.id) AS children, t.progress,
         (SELECT s.workflow_id FROM workflow_steps s WHERE s.task_id = t.id) AS workflow_id,
         a.worker_id, a.state AS attempt_state, a.unreachable_since, a.report, w.name AS worker_name"
    };
}
pub(super) use task_columns;

macro_rules! task_joins {
    () => {
        "LEFT JOIN attempts a ON a.id = t.attempt_id LEFT JOIN workers w ON w.id = a.worker_id"
    };
}
pub(super) use task_joins;

macro_rules! attempt_columns {
    () => {
        "a.id, a.task_id, a.number, a.state, a.worker_id, w.name AS worker_name, a.offered_at, a.started_at,
         a.ended_at, a.report, a.returned_because, a.continues
         FROM attempts a JOIN workers w ON w.id = a.worker_id"
    };
}

macro_rules! worker_columns {
    () => {
        "w.*, (SELECT count(*) FROM attempts a WHERE a.worker_id = w.id
                 AND a.state IN ('offered', 'accepted', 'running', 'unreachable')) AS busy"
    };
}

macro_rules! event_columns {
    () => {
        "e.cursor, e.at, e.task_id, t.number, e.attempt_id, a.number AS attempt_number, e.kind, e.event, e.state,
         w.name AS worker_name,
         CASE e.kind WHEN 'offered' THEN a.continues END AS continues,
         CASE e.kind WHEN 'offered' THEN (SELECT f.number FROM attempts f
             WHERE f.id = unhex(a.continues ->> '$.from', '-')) END AS continues_number,
         CASE WHEN e.kind IN ('asked', 'answered') THEN (
             SELECT json_object('number', q.number, 'text', q.text, 'options', json(q.options), 'answer', q.answer,
                                'by', q.answered_by)
             FROM questions q WHERE q.id = unhex(e.event ->> '$.question', '-')) END AS question,
         CASE e.kind WHEN 'offered' THEN (SELECT o.number FROM attempts f JOIN tasks o ON o.id = f.task_id
             WHERE f.id = unhex(a.continues ->> '$.from', '-') AND o.id <> e.task_id) END AS continues_task,
         CASE e.kind WHEN 'dependency_failed' THEN (SELECT n.number FROM tasks n
             WHERE n.id = unhex(e.event ->> '$.task', '-')) END AS needed_number
         FROM events e
         JOIN tasks t ON t.id = e.task_id
         LEFT JOIN attempts a ON a.id = e.attempt_id
         LEFT JOIN workers w ON w.id = a.worker_id"
    };
}

statements! {
    // The writer's own.
    BEGIN = "BEGIN IMMEDIATE";
    COMMIT = "COMMIT";
    ROLLBACK = "ROLLBACK";
    SAVEPOINT = "SAVEPOINT verb";
    ROLLBACK_TO_SAVEPOINT = "ROLLBACK TO verb";
    RELEASE_SAVEPOINT = "RELEASE verb";
    CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)";
    CHECKPOINT_AND_CUT = "PRAGMA wal_checkpoint(TRUNCATE)";
    SQLITE_VERSION = "SELECT sqlite_version()";
    LAST_CURSOR = "SELECT coalesce(max(cursor), 0) FROM events";

    // Submit.
    KEYS_IN_USE =
        "SELECT t.idempotency_key AS key, t.id, t.number, t.spec_digest
         FROM json_each(?1) AS wanted CROSS JOIN tasks t ON t.idempotency_key = wanted.value";
    ENTER_PLACEMENTS =
        "INSERT INTO placements (requirements)
         SELECT n.value FROM json_each(?1) AS n WHERE true
         ON CONFLICT (requirements) DO UPDATE SET requirements = excluded.requirements
         RETURNING requirements, id";
    /// Tasks, their prompts and their first events: three statements in one trip to SQLite's thread.
    ADD_TASKS =
        "INSERT INTO tasks (id, placement_id, priority, repo, spec, spec_digest, idempotency_key, retry_of,
                            parent_id, goes_on_from, on_failed_dependency, held,
                            traceparent, submitted_at, updated_at, state)
         SELECT unhex(n.value ->> '$.id', '-'), n.value ->> '$.placement',
                n.value ->> '$.priority', n.value ->> '$.repo', n.value ->> '$.spec',
                unhex(n.value ->> '$.digest'), n.value ->> '$.key', unhex(n.value ->> '$.retry_of', '-'),
                unhex(n.value ->> '$.parent', '-'), unhex(n.value ->> '$.goes_on_from', '-'),
                n.value ->> '$.on_failed_dependency', n.value ->> '$.held',
                n.value ->> '$.traceparent', n.value ->> '$.at', n.value ->> '$.at', n.value ->> '$.state'
         FROM json_each(?1) AS n ORDER BY n.key;
         INSERT INTO prompts (task_number, prompt, brief)
         SELECT t.number, n.value ->> '$.prompt', n.value ->> '$.brief'
         FROM json_each(?1) AS n CROSS JOIN tasks t ON t.id = unhex(n.value ->> '$.id', '-')
         ORDER BY n.key;
         INSERT INTO events (at, task_id, kind, state)
         SELECT n.value ->> '$.at', unhex(n.value ->> '$.id', '-'), 'submitted',
                json_object('state', n.value ->> '$.state')
         FROM json_each(?1) AS n ORDER BY n.key
         RETURNING task_id, (SELECT t.number FROM tasks t WHERE t.id = task_id), cursor";
    ADD_EVENTS =
        "INSERT INTO events (at, task_id, attempt_id, kind, event, state)
         SELECT n.value ->> '$.at', unhex(n.value ->> '$.task', '-'), unhex(n.value ->> '$.attempt', '-'),
                n.value ->> '$.kind', n.value ->> '$.event', n.value ->> '$.state'
         FROM json_each(?1) AS n ORDER BY n.key";

    // Transitions: what the domain looks at, and its decisions written down, fenced.
    STANDINGS =
        "SELECT t.id, t.number, t.spec ->> '$.max_attempts' AS max_attempts, t.state, t.attempt_id, t.wake_at,
                t.parked_because, t.failure, t.cancelled_because, t.attempts, t.agent_failures, t.infrastructure_failures,
                t.usage_limits, t.prefer_worker, t.prefer_until, t.goes_on_from, t.parent_id,
                (SELECT count(*) FROM questions q WHERE q.task_id = t.id AND q.state = 'open') AS open_questions,
                t.held, CASE t.state WHEN 'blocked' THEN (SELECT count(*) FROM dependencies d
                    WHERE d.task_id = t.id AND d.settled IS NULL) ELSE 0 END AS open_dependencies,
                a.worker_id, a.state AS attempt_state, a.unreachable_since
         FROM json_each(?1) AS wanted
         CROSS JOIN tasks t ON t.id = unhex(wanted.value, '-')
         LEFT JOIN attempts a ON a.id = t.attempt_id
         ORDER BY wanted.key";
    ADD_ATTEMPTS =
        "INSERT INTO attempts (id, task_id, number, worker_id, state, offered_at, deadline_at, continues)
         SELECT unhex(n.value ->> '$.id', '-'), unhex(n.value ->> '$.task', '-'), n.value ->> '$.number',
                unhex(n.value ->> '$.worker', '-'), n.value ->> '$.to', n.value ->> '$.at', n.value ->> '$.deadline_at',
                n.value ->> '$.continues'
         FROM json_each(?1) AS n";
    MOVE_ATTEMPTS =
        "UPDATE attempts
         SET state = m.value ->> '$.to', deadline_at = m.value ->> '$.deadline_at',
             unreachable_since = m.value ->> '$.unreachable_since',
             started_at = coalesce(started_at, m.value ->> '$.started_at'),
             ended_at = m.value ->> '$.ended_at', returned_because = m.value ->> '$.returned_because',
             report = m.value ->> '$.report', report_digest = unhex(m.value ->> '$.report_digest')
         FROM json_each(?1) AS m
         WHERE attempts.id = unhex(m.value ->> '$.id', '-')
           AND attempts.task_id = unhex(m.value ->> '$.task', '-')
           AND attempts.state = m.value ->> '$.from'
           AND (NOT m.value ->> '$.because_due' OR attempts.deadline_at <= m.value ->> '$.at')";
    MOVE_TASKS =
        "UPDATE tasks
         SET state = m.value ->> '$.to', attempt_id = unhex(m.value ->> '$.attempt', '-'),
             wake_at = m.value ->> '$.wake_at', parked_because = m.value ->> '$.parked_because',
             failure = m.value ->> '$.failure', cancelled_because = m.value ->> '$.cancelled_because',
             ended_at = m.value ->> '$.ended_at',
             attempts = m.value ->> '$.attempts', agent_failures = m.value ->> '$.agent_failures',
             infrastructure_failures = m.value ->> '$.infrastructure_failures',
             usage_limits = m.value ->> '$.usage_limits',
             prefer_worker = unhex(m.value ->> '$.prefer_worker', '-'),
             prefer_until = m.value ->> '$.prefer_until', updated_at = m.value ->> '$.at',
             held = m.value ->> '$.held'
         FROM json_each(?1) AS m
         WHERE tasks.id = unhex(m.value ->> '$.id', '-')
           AND tasks.state = m.value ->> '$.from'
           AND tasks.attempt_id IS unhex(m.value ->> '$.from_attempt', '-')
           AND (NOT m.value ->> '$.because_due' OR tasks.wake_at IS NULL OR tasks.wake_at <= m.value ->> '$.at')";

    // Claim.
    /// From one class to the next along the index: classes that have had their time cost nothing.
    QUEUED_PLACEMENTS =
        "WITH RECURSIVE class (id) AS (
             SELECT min(placement_id) FROM tasks INDEXED BY tasks_queue WHERE state = 'queued'
             UNION ALL
             SELECT (SELECT min(q.placement_id) FROM tasks q INDEXED BY tasks_queue
                     WHERE q.state = 'queued' AND q.placement_id > class.id)
             FROM class WHERE class.id IS NOT NULL)
         SELECT p.id, p.requirements FROM class CROSS JOIN placements p ON p.id = class.id";
    CANDIDATES =
        "SELECT t.id, t.number, t.priority, t.placement_id
         FROM json_each(?1) AS class CROSS JOIN tasks t ON t.number IN (
             SELECT q.number FROM tasks q
             WHERE q.placement_id = class.value ->> '$.id' AND q.state = 'queued'
               AND q.id NOT IN (SELECT unhex(e.value, '-') FROM json_each(?2) AS e)
               AND (q.prefer_until IS NULL OR q.prefer_until <= ?4 OR q.prefer_worker NOT IN (
                   SELECT unhex(k.value, '-') FROM json_each(class.value, '$.left_to') AS k))
             ORDER BY q.priority DESC, q.number LIMIT ?3)";
    /// Attempts that started an agent, of tasks that have no live one. The word of the start may have
    /// been lost, or overtaken by the report: a conversation and a checkpoint tell of it as well.
    PAST_ATTEMPTS =
        "SELECT a.task_id, a.id, a.worker_id, a.report ->> '$.outcome' AS outcome
         FROM json_each(?1) AS wanted CROSS JOIN attempts a ON a.task_id = unhex(wanted.value, '-')
         WHERE a.started_at IS NOT NULL OR a.report ->> '$.agent_session' IS NOT NULL
            OR EXISTS (SELECT 1 FROM checkpoints c WHERE c.attempt_id = a.id)
         ORDER BY wanted.key, a.number";
    MAY_CLAIM = "SELECT session_id = ?2 AND draining_since IS NULL FROM workers WHERE id = ?1";
    CLAIMED =
        "SELECT t.id, t.number, t.spec, p.prompt, p.brief, t.traceparent, t.attempt_id, t.attempts, t.goes_on_from,
                EXISTS (SELECT 1 FROM dependencies d WHERE d.task_id = t.id) AS waited
         FROM json_each(?1) AS wanted
         CROSS JOIN tasks t ON t.id = unhex(wanted.value, '-')
         JOIN prompts p ON p.task_number = t.number
         ORDER BY wanted.key";

    // Renew, report.
    NEWEST_SESSION = "SELECT session_id FROM workers WHERE id = ?1";
    HELD =
        "SELECT a.id, a.task_id, a.worker_id, a.state, a.report_digest
         FROM json_each(?1) AS wanted CROSS JOIN attempts a ON a.id = unhex(wanted.value, '-')";
    EXTEND =
        "UPDATE attempts SET deadline_at = ?2
         FROM json_each(?1) AS m
         WHERE attempts.id = unhex(m.value, '-') AND attempts.worker_id = ?3
           AND attempts.state IN ('accepted', 'running')";
    SEEN = "UPDATE workers SET last_seen_at = ?2, free_disk = ?3 WHERE id = ?1";

    // What is due.
    DUE_ATTEMPTS =
        "SELECT id, task_id, state FROM attempts
         WHERE state IN ('offered', 'accepted', 'running', 'unreachable') AND deadline_at <= ?1
         ORDER BY deadline_at LIMIT ?2";
    DUE_PARKED =
        "SELECT id FROM tasks INDEXED BY tasks_parked
         WHERE state = 'parked' AND wake_at <= ?1 ORDER BY wake_at LIMIT ?2";
    FULL_TERM =
        "UPDATE attempts
         SET deadline_at = CASE state WHEN 'offered' THEN ?1 WHEN 'unreachable' THEN ?3 ELSE ?2 END
         WHERE state IN ('offered', 'accepted', 'running', 'unreachable')";
    NEXT_DUE =
        "SELECT min(due) FROM (
             SELECT min(deadline_at) AS due FROM attempts
             WHERE state IN ('offered', 'accepted', 'running', 'unreachable')
             UNION ALL
             SELECT min(wake_at) FROM tasks INDEXED BY tasks_parked WHERE state = 'parked'
             UNION ALL
             SELECT min(deadline_at) FROM questions INDEXED BY questions_due
             WHERE state = 'open' AND deadline_at IS NOT NULL)";

    // Workers, artifacts and checkpoints.
    ENTER_WORKER =
        "INSERT INTO workers (id, session_id, name, version, labels, agents, slots, free_disk,
                              registered_at, last_seen_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)
         ON CONFLICT (id) DO UPDATE SET
             session_id = excluded.session_id, name = excluded.name, version = excluded.version,
             labels = excluded.labels, agents = excluded.agents, slots = excluded.slots,
             free_disk = excluded.free_disk, last_seen_at = excluded.last_seen_at";
    DRAIN_WORKER =
        "UPDATE workers SET draining_since = coalesce(draining_since, ?2), hand_over_at = ?3 WHERE id = ?1";
    RESUME_WORKER = "UPDATE workers SET draining_since = NULL, hand_over_at = NULL WHERE id = ?1";
    NOTE_DECLINE = "UPDATE workers SET last_decline = ?2 WHERE id = ?1";
    KEEP_ARTIFACT =
        "INSERT INTO artifacts (attempt_id, kind, name, bytes, sha256, kept_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (attempt_id, kind, name) DO UPDATE SET
             bytes = excluded.bytes, sha256 = excluded.sha256, kept_at = excluded.kept_at";
    HAS_ARTIFACT =
        "SELECT EXISTS (SELECT 1 FROM artifacts WHERE attempt_id = ?1 AND kind = ?2 AND name = ?3)";
    CHECKPOINT_OF = "SELECT checkpoint FROM checkpoints WHERE attempt_id = ?1";
    KEEP_CHECKPOINT =
        "INSERT INTO checkpoints (attempt_id, checkpoint, kept_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (attempt_id) DO UPDATE SET
             checkpoint = excluded.checkpoint, kept_at = excluded.kept_at";
    DROP_OLDER_CHECKPOINTS =
        "DELETE FROM artifacts
         WHERE attempt_id = ?1 AND kind IN ('checkpoint_work', 'checkpoint_transcript')
           AND CAST(name AS INTEGER) < ?2
         RETURNING attempt_id, kind, name, bytes, sha256";
    WORKERS = concat!("SELECT ", worker_columns!(), " FROM workers w ORDER BY w.name, w.id");
    WORKER = concat!("SELECT ", worker_columns!(), " FROM workers w WHERE w.id = ?1");
    HELD_BY =
        "SELECT a.id, a.number, a.state, a.task_id, t.number AS task_number, t.spec ->> '$.title' AS title,
                a.offered_at, a.started_at
         FROM attempts a CROSS JOIN tasks t ON t.id = a.task_id
         WHERE a.worker_id = ?1 AND a.state IN ('offered', 'accepted', 'running', 'unreachable')
         ORDER BY a.offered_at, t.number";
    ARTIFACTS =
        "SELECT attempt_id, kind, name, bytes, sha256 FROM artifacts WHERE attempt_id = ?1 ORDER BY kind, name";

    // Reads.
    TASK = concat!(
        "SELECT ", task_columns!(), ", p.prompt FROM tasks t JOIN prompts p ON p.task_number = t.number ",
        task_joins!(), " WHERE t.id = ?1"
    );
    ATTEMPTS_OF = concat!("SELECT ", attempt_columns!(), " WHERE a.task_id = ?1 ORDER BY a.number");
    ATTEMPT = concat!("SELECT ", attempt_columns!(), " WHERE a.id = ?1");
    EVENTS_AFTER = concat!("SELECT ", event_columns!(), " WHERE e.cursor > ?1 ORDER BY e.cursor LIMIT ?2");
    EVENTS_AFTER_OF = concat!(
        "SELECT ", event_columns!(),
        " WHERE e.cursor > ?1 AND e.task_id IN (SELECT unhex(wanted.value, '-') FROM json_each(?3) AS wanted)
         ORDER BY e.cursor LIMIT ?2"
    );
    TASK_BY_NUMBER = "SELECT id FROM tasks WHERE number = ?1";
    TASKS_BETWEEN = "SELECT id FROM tasks WHERE id BETWEEN ?1 AND ?2 LIMIT 2";
    LIVE_COUNT =
        "SELECT count(*) FROM tasks
         WHERE state IN ('blocked', 'queued', 'leased', 'running', 'cancelling', 'parked', 'waiting')";
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};

    use super::*;
    use crate::store::sqlite::open;

    #[tokio::test]
    async fn each_statement_fits_the_schema() {
        let root = tempfile::tempdir().expect("a directory");
        let (mut connection, _readers) = open::connect(&root.path().join("t.db")).await.expect("opened");
        for (name, sql) in [
            ALL,
            admission::ALL,
            board::ALL,
            dependencies::ALL,
            dispatch::ALL,
            family::ALL,
            inbox::ALL,
            memory::ALL,
            questions::ALL,
            repos::ALL,
            retention::ALL,
            stats::ALL,
            upstreams::ALL,
            workflows::ALL,
        ]
        .concat()
        {
            if let Err(error) = connection.prepare(AssertSqlSafe(sql).into_sql_str()).await {
                panic!("{name}: {error}");
            }
        }
    }

    /// What runs at every claim, heartbeat, report and tick must not grow with the tasks that have
    /// ended, nor with queued ones nobody there can take: big tables are searched, by the right index.
    #[tokio::test]
    async fn the_scheduler_never_scans_a_big_table() {
        let root = tempfile::tempdir().expect("a directory");
        let (mut connection, _readers) = open::connect(&root.path().join("t.db")).await.expect("opened");
        for (sql, index) in [
            (QUEUED_PLACEMENTS, "tasks_queue"),
            (CANDIDATES, "tasks_queue"),
            (DUE_ATTEMPTS, "attempts_due"),
            (DUE_PARKED, "tasks_parked"),
            (NEXT_DUE, "attempts_due"),
            (NEXT_DUE, "tasks_parked"),
            (NEXT_DUE, "questions_due"),
            (STANDINGS, "questions_by_task"),
            (questions::DUE_QUESTIONS, "questions_due"),
            (questions::WITHDRAW_QUESTIONS, "questions_by_task"),
            (questions::OPEN_QUESTIONS_OF, "questions_by_task"),
            (questions::ALL_QUESTIONS_OF, "questions_by_task"),
            (questions::OPEN_QUESTIONS, "questions_open"),
            (WORKERS, "attempts_busy"),
            (HELD_BY, "attempts_busy"),
            (LIVE_COUNT, "tasks_by_state"),
            (FULL_TERM, "attempts_due"),
            (STANDINGS, "sqlite_autoindex_tasks_1"),
            (CLAIMED, "sqlite_autoindex_tasks_1"),
            (MOVE_TASKS, "sqlite_autoindex_tasks_1"),
            (MOVE_ATTEMPTS, "sqlite_autoindex_attempts_1"),
            (PAST_ATTEMPTS, "sqlite_autoindex_attempts_2"),
            (HELD, "sqlite_autoindex_attempts_1"),
            (EXTEND, "sqlite_autoindex_attempts_1"),
            (KEYS_IN_USE, "sqlite_autoindex_tasks_2"),
            (DROP_OLDER_CHECKPOINTS, "SEARCH artifacts USING PRIMARY KEY"),
            (EVENTS_AFTER, "SEARCH e USING INTEGER PRIMARY KEY"),
            (EVENTS_AFTER_OF, "events_by_task"),
            (TASKS_BETWEEN, "sqlite_autoindex_tasks_1"),
            (retention::LOG_STANDINGS, "sqlite_autoindex_attempts_1"),
            (retention::KEPT_ARTIFACTS, "SEARCH f USING PRIMARY KEY"),
            (retention::PRUNE_LOGS, "sqlite_autoindex_attempts_1"),
            (retention::PRUNE_ARTIFACTS, "SEARCH f USING PRIMARY KEY"),
            (retention::FORGET_PRUNED, "SEARCH artifacts USING PRIMARY KEY"),
            (board::TELL_OF_MESSAGE, "tasks_by_state"),
            (board::TELL_OF_MESSAGE, "messages_in_thread"),
            (board::THREAD, "messages_in_thread"),
            (board::UNREAD, "messages_for"),
            (board::UNREAD, "messages_to"),
            (board::HAND_TO, "dependencies_by_needs"),
            (board::HAND_TO_DEPENDENTS, "handoffs_from"),
            (board::TELL_OF_HANDOFF, "handed_to_by_handoff"),
            (admission::RUNNING, "tasks_by_state"),
            (admission::WAITING, "tasks_queue"),
            (admission::FILE_LOCKS, "attempts_one_live"),
            (admission::AT_WORK, "sqlite_autoindex_attempts_1"),
            (admission::TAKEN_SINCE, "attempts_one_live"),
            (admission::TITLES, "sqlite_autoindex_tasks_1"),
            (dependencies::SETTLE_DEPENDENCIES, "dependencies_open"),
            (repos::COPIES_OF, "repo_copies_by_repo"),
            (repos::LIVE_TASKS_OF_REPOS, "tasks_by_state"),
            (repos::KEEP_COPIES, "SCAN n VIRTUAL TABLE"),
            (dispatch::DISPATCHED_ENDED_BETWEEN, "SEARCH e USING INTEGER PRIMARY KEY"),
            (stats::OPEN_QUESTIONS, "questions_open"),
            (family::LIVE_DESCENDANTS, "tasks_children"),
            (family::ROOM_FOR_CHILDREN, "tasks_children"),
            (family::ENDED_CHILDREN, "sqlite_autoindex_tasks_1"),
            (family::RELATED, "tasks_children"),
            (family::RELATED, "dependencies_by_needs"),
            (dependencies::DEPENDENCIES_OF_BLOCKED, "SEARCH d USING PRIMARY KEY"),
        ] {
            let plan: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
                    .fetch_all(&mut connection)
                    .await
                    .expect("a plan");
            let steps: Vec<&str> = plan.iter().map(|(.., step)| step.as_str()).collect();
            assert!(steps.iter().any(|step| step.contains(index)), "{index} is not used: {steps:#?}");
            let scans = |step: &&&str| {
                let of_a_table = step.starts_with("SCAN ") && !step.starts_with("SCAN (subquery-");
                of_a_table && !step.contains("VIRTUAL TABLE") && !step.contains("USING")
            };
            // Workers, classes, and what a recursive part has found so far.
            let small = [
                "SCAN p",
                "SCAN w",
                "SCAN class",
                "SCAN running",
                "SCAN CONSTANT ROW",
                "SCAN family",
                "SCAN related",
                "SCAN above",
            ];
            let big: Vec<_> = steps.iter().filter(scans).filter(|step| !small.contains(step)).collect();
            assert!(big.is_empty(), "{big:?} in {steps:#?}");
        }
    }
}
