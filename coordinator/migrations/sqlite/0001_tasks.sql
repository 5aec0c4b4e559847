-- Tasks, attempts, the event feed, workers and artifacts.
--
-- Ids are the sixteen bytes of a UUIDv7, times are milliseconds since the Unix
-- epoch, JSON is what the domain's own types serialize to. What a row can say
-- about its own consistency stands in its CHECKs.

-- Requirement classes: tasks that ask the same of a worker share one, so that a
-- claim looks at classes and never at tasks nobody there can take.
CREATE TABLE placements (
    id           INTEGER PRIMARY KEY,
    requirements TEXT NOT NULL UNIQUE CHECK (json_valid(requirements))
) STRICT;

CREATE TABLE workers (
    id            BLOB PRIMARY KEY CHECK (length(id) = 16),
    -- The newest session; what an older one says is no longer heard.
    session_id    BLOB NOT NULL CHECK (length(session_id) = 16),
    name          TEXT NOT NULL,
    version       TEXT NOT NULL,
    labels        TEXT NOT NULL CHECK (json_valid(labels)),
    agents        TEXT NOT NULL CHECK (json_valid(agents)),
    slots         INTEGER NOT NULL CHECK (slots >= 0),
    -- Bytes.
    free_disk     INTEGER NOT NULL CHECK (free_disk >= 0),
    registered_at INTEGER NOT NULL,
    last_seen_at  INTEGER NOT NULL,
    last_decline  TEXT
) STRICT;

CREATE TABLE tasks (
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

    state                   TEXT NOT NULL CHECK (state IN (
        'queued', 'leased', 'running', 'cancelling', 'parked', 'succeeded', 'failed', 'cancelled')),
    -- The live attempt, and once ended the one that decided it.
    attempt_id              BLOB REFERENCES attempts (id),
    wake_at                 INTEGER,
    parked_because          TEXT CHECK (json_valid(parked_because)),
    failure                 TEXT CHECK (json_valid(failure)),
    ended_at                INTEGER,
    attempts                INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    agent_failures          INTEGER NOT NULL DEFAULT 0 CHECK (agent_failures >= 0),
    infrastructure_failures INTEGER NOT NULL DEFAULT 0 CHECK (infrastructure_failures >= 0),

    CHECK (state NOT IN ('leased', 'running', 'cancelling', 'succeeded', 'failed') OR attempt_id IS NOT NULL),
    CHECK (state NOT IN ('queued', 'parked') OR attempt_id IS NULL),
    CHECK ((state = 'parked') = (wake_at IS NOT NULL)),
    CHECK ((state = 'parked') = (parked_because IS NOT NULL)),
    CHECK ((state = 'failed') = (failure IS NOT NULL)),
    CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (ended_at IS NOT NULL))
) STRICT;

CREATE INDEX tasks_queue ON tasks (placement_id, priority DESC, number) WHERE state = 'queued';
CREATE INDEX tasks_parked ON tasks (wake_at) WHERE state = 'parked';
CREATE INDEX tasks_by_state ON tasks (state, number);
CREATE INDEX tasks_by_repo ON tasks (repo, number) WHERE repo IS NOT NULL;
CREATE INDEX tasks_retries ON tasks (retry_of, number) WHERE retry_of IS NOT NULL;

CREATE TRIGGER tasks_end_is_final BEFORE UPDATE ON tasks
    WHEN old.state IN ('succeeded', 'failed', 'cancelled')
BEGIN
    SELECT RAISE(ABORT, 'an ended task does not change');
END;

CREATE TABLE prompts (
    task_number INTEGER PRIMARY KEY REFERENCES tasks (number),
    prompt      TEXT NOT NULL
) STRICT;

CREATE TABLE attempts (
    id                BLOB PRIMARY KEY CHECK (length(id) = 16),
    task_id           BLOB NOT NULL REFERENCES tasks (id),
    -- Counted from 1 within the task, returned offers included.
    number            INTEGER NOT NULL CHECK (number >= 1),
    worker_id         BLOB NOT NULL REFERENCES workers (id),
    state             TEXT NOT NULL CHECK (state IN (
        'offered', 'accepted', 'running', 'unreachable',
        'returned', 'succeeded', 'failed', 'cancelled', 'lost')),
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

    UNIQUE (task_id, number),
    CHECK ((state IN ('offered', 'accepted', 'running', 'unreachable')) = (deadline_at IS NOT NULL)),
    CHECK ((state IN ('offered', 'accepted', 'running', 'unreachable')) = (ended_at IS NULL)),
    CHECK ((state = 'unreachable') = (unreachable_since IS NOT NULL)),
    CHECK ((state = 'returned') = (returned_because IS NOT NULL)),
    CHECK (state <> 'running' OR started_at IS NOT NULL),
    CHECK (state NOT IN ('offered', 'returned') OR started_at IS NULL),
    CHECK ((report IS NULL) = (report_digest IS NULL)),
    CHECK (report IS NULL OR state IN ('succeeded', 'failed', 'cancelled'))
) STRICT;

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

-- The feed: every transition, in one order over all tasks. AUTOINCREMENT, so
-- that a cursor is never given out twice, whatever is pruned.
CREATE TABLE events (
    cursor     INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    task_id    BLOB NOT NULL REFERENCES tasks (id),
    attempt_id BLOB REFERENCES attempts (id),
    kind       TEXT NOT NULL,
    -- The domain's event; a submit is none.
    event      TEXT CHECK (json_valid(event)),
    -- The task's state from then on.
    state      TEXT NOT NULL CHECK (json_valid(state)),
    CHECK (kind = coalesce(event ->> '$.kind', 'submitted'))
) STRICT;

CREATE INDEX events_by_task ON events (task_id, cursor);

CREATE TRIGGER events_are_final BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'an event does not change');
END;

CREATE TABLE artifacts (
    attempt_id BLOB NOT NULL REFERENCES attempts (id),
    kind       TEXT NOT NULL CHECK (kind IN ('patch', 'bundle', 'file')),
    name       TEXT NOT NULL,
    bytes      INTEGER NOT NULL CHECK (bytes >= 0),
    sha256     BLOB NOT NULL CHECK (length(sha256) = 32),
    kept_at    INTEGER NOT NULL,
    PRIMARY KEY (attempt_id, kind, name)
) STRICT, WITHOUT ROWID;
