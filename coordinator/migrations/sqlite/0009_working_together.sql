-- no-transaction
--
-- Tasks that wait for others or for an answer, that belong together, and say how far they are.
-- Their states stand in CHECKs, which cannot be changed in place: both tables are made anew
-- (https://www.sqlite.org/lang_altertable.html#otheralter). Foreign keys can be turned off only
-- outside of a transaction, so this file has its own; run again, it comes to the same end.
PRAGMA foreign_keys = OFF;
BEGIN IMMEDIATE;

CREATE TABLE tasks_anew (
    -- The short number, in order of submit.
    number                  INTEGER PRIMARY KEY AUTOINCREMENT,
    id                      BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    placement_id            INTEGER NOT NULL REFERENCES placements (id),
    priority                INTEGER NOT NULL,
    repo                    TEXT,
    -- Without the prompt, which lists do not load.
    spec                    TEXT NOT NULL CHECK (json_valid(spec)),
    -- SHA-256 of the whole spec: tells a repeated submit from a key used twice.
    spec_digest             BLOB NOT NULL CHECK (length(spec_digest) = 32),
    idempotency_key         TEXT UNIQUE,
    retry_of                BLOB REFERENCES tasks (id),
    traceparent             TEXT NOT NULL,
    submitted_at            INTEGER NOT NULL,
    updated_at              INTEGER NOT NULL,
    -- How it stands to others, given at the submit.
    parent_id               BLOB REFERENCES tasks (id),
    goes_on_from            BLOB REFERENCES tasks (id),
    on_failed_dependency    TEXT NOT NULL DEFAULT 'cancel' CHECK (on_failed_dependency IN ('cancel', 'skip', 'run')),

    state                   TEXT NOT NULL CHECK (state IN (
        'blocked', 'queued', 'leased', 'running', 'cancelling', 'parked', 'waiting',
        'succeeded', 'failed', 'cancelled')),
    -- The live attempt, and once ended the one that decided it.
    attempt_id              BLOB REFERENCES attempts (id),
    wake_at                 INTEGER,
    parked_because          TEXT CHECK (json_valid(parked_because)),
    failure                 TEXT CHECK (json_valid(failure)),
    cancelled_because       TEXT CHECK (json_valid(cancelled_because)),
    ended_at                INTEGER,
    attempts                INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    agent_failures          INTEGER NOT NULL DEFAULT 0 CHECK (agent_failures >= 0),
    infrastructure_failures INTEGER NOT NULL DEFAULT 0 CHECK (infrastructure_failures >= 0),
    usage_limits            INTEGER NOT NULL DEFAULT 0 CHECK (usage_limits >= 0),
    -- The worker it is better off at, and until when others leave it to that one.
    prefer_worker           BLOB REFERENCES workers (id)
        CHECK (prefer_worker IS NULL OR state IN ('queued', 'parked', 'waiting')),
    prefer_until            INTEGER
        CHECK (prefer_until IS NULL OR (state = 'queued' AND prefer_worker IS NOT NULL)),
    -- The newest word of its agent on how far it is: {"text", "percent"}.
    progress                TEXT CHECK (json_valid(progress)),

    CHECK (state NOT IN ('leased', 'running', 'cancelling', 'succeeded', 'failed') OR attempt_id IS NOT NULL),
    CHECK (state NOT IN ('blocked', 'queued', 'parked', 'waiting') OR attempt_id IS NULL),
    CHECK ((state = 'parked') = (wake_at IS NOT NULL)),
    CHECK ((state = 'parked') = (parked_because IS NOT NULL)),
    CHECK ((state = 'failed') = (failure IS NOT NULL)),
    CHECK ((state = 'cancelled') = (cancelled_because IS NOT NULL)),
    CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (ended_at IS NOT NULL))
) STRICT;

INSERT INTO tasks_anew (
    number, id, placement_id, priority, repo, spec, spec_digest, idempotency_key, retry_of, traceparent,
    submitted_at, updated_at, state, attempt_id, wake_at, parked_because, failure, cancelled_because, ended_at,
    attempts, agent_failures, infrastructure_failures, usage_limits, prefer_worker, prefer_until)
SELECT
    number, id, placement_id, priority, repo, spec, spec_digest, idempotency_key, retry_of, traceparent,
    submitted_at, updated_at, state, attempt_id, wake_at, parked_because, failure,
    CASE state WHEN 'cancelled' THEN '{"kind":"requested"}' END, ended_at,
    attempts, agent_failures, infrastructure_failures, usage_limits, prefer_worker, prefer_until
FROM tasks;
DROP TABLE tasks;
ALTER TABLE tasks_anew RENAME TO tasks;

CREATE INDEX tasks_queue ON tasks (placement_id, priority DESC, number) WHERE state = 'queued';
CREATE INDEX tasks_parked ON tasks (wake_at) WHERE state = 'parked';
CREATE INDEX tasks_by_state ON tasks (state, number);
CREATE INDEX tasks_by_repo ON tasks (repo, number) WHERE repo IS NOT NULL;
CREATE INDEX tasks_retries ON tasks (retry_of, number) WHERE retry_of IS NOT NULL;
CREATE INDEX tasks_children ON tasks (parent_id, number) WHERE parent_id IS NOT NULL;

CREATE TRIGGER tasks_end_is_final BEFORE UPDATE ON tasks
    WHEN old.state IN ('succeeded', 'failed', 'cancelled')
BEGIN
    SELECT RAISE(ABORT, 'an ended task does not change');
END;

CREATE TABLE attempts_anew (
    id                BLOB PRIMARY KEY CHECK (length(id) = 16),
    task_id           BLOB NOT NULL REFERENCES tasks (id),
    -- Counted from 1 within the task, returned offers included.
    number            INTEGER NOT NULL CHECK (number >= 1),
    worker_id         BLOB NOT NULL REFERENCES workers (id),
    state             TEXT NOT NULL CHECK (state IN (
        'offered', 'accepted', 'running', 'unreachable',
        'returned', 'succeeded', 'failed', 'cancelled', 'lost', 'asked')),
    offered_at        INTEGER NOT NULL,
    started_at        INTEGER,
    ended_at          INTEGER,
    -- When the offer lapses, the lease runs out or the attempt is given up, by its state.
    deadline_at       INTEGER,
    unreachable_since INTEGER,
    returned_because  TEXT,
    report            TEXT CHECK (json_valid(report)),
    -- SHA-256 as the worker sent it: the same report again is known by it.
    report_digest     BLOB CHECK (length(report_digest) = 32),
    -- What it goes on from, as its worker was told with the offer. Null: from nothing.
    continues         TEXT CHECK (json_valid(continues)),

    UNIQUE (task_id, number),
    CHECK ((state IN ('offered', 'accepted', 'running', 'unreachable')) = (deadline_at IS NOT NULL)),
    CHECK ((state IN ('offered', 'accepted', 'running', 'unreachable')) = (ended_at IS NULL)),
    CHECK ((state = 'unreachable') = (unreachable_since IS NOT NULL)),
    CHECK ((state = 'returned') = (returned_because IS NOT NULL)),
    CHECK (state <> 'running' OR started_at IS NOT NULL),
    CHECK (state NOT IN ('offered', 'returned') OR started_at IS NULL),
    CHECK ((report IS NULL) = (report_digest IS NULL)),
    CHECK (report IS NULL OR state IN ('succeeded', 'failed', 'cancelled', 'asked'))
) STRICT;

INSERT INTO attempts_anew (
    id, task_id, number, worker_id, state, offered_at, started_at, ended_at, deadline_at, unreachable_since,
    returned_because, report, report_digest, continues)
SELECT
    id, task_id, number, worker_id, state, offered_at, started_at, ended_at, deadline_at, unreachable_since,
    returned_because, report, report_digest, continues
FROM attempts;
DROP TABLE attempts;
ALTER TABLE attempts_anew RENAME TO attempts;

CREATE UNIQUE INDEX attempts_one_live ON attempts (task_id)
    WHERE state IN ('offered', 'accepted', 'running', 'unreachable');
CREATE UNIQUE INDEX attempts_one_success ON attempts (task_id) WHERE state = 'succeeded';
CREATE INDEX attempts_due ON attempts (deadline_at)
    WHERE state IN ('offered', 'accepted', 'running', 'unreachable');
CREATE INDEX attempts_busy ON attempts (worker_id)
    WHERE state IN ('offered', 'accepted', 'running', 'unreachable');

CREATE TRIGGER attempts_end_is_final BEFORE UPDATE ON attempts
    WHEN old.state NOT IN ('offered', 'accepted', 'running', 'unreachable')
BEGIN
    SELECT RAISE(ABORT, 'an ended attempt does not change');
END;

COMMIT;
PRAGMA foreign_keys = ON;
