-- Runs of workflows: what was wanted, and how each stands.
CREATE TABLE workflows (
    -- The short number, in order of starting.
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    id              BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    -- Of the definition.
    name            TEXT NOT NULL,
    -- What was asked for, and the definition as it was then: a file that changes changes no run.
    request         TEXT NOT NULL CHECK (json_valid(request)),
    definition      TEXT NOT NULL CHECK (json_valid(definition)),
    idempotency_key TEXT UNIQUE,
    -- Its steps' commits come on this.
    branch          TEXT NOT NULL,

    state           TEXT NOT NULL DEFAULT 'pending'
                    CHECK (state IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    failure         TEXT,
    -- Someone asked for its end: no further step begins.
    cancel_wished   INTEGER NOT NULL DEFAULT 0 CHECK (cancel_wished IN (0, 1)),
    iteration       INTEGER NOT NULL DEFAULT 1 CHECK (iteration > 0),

    started_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    ended_at        INTEGER,

    CHECK ((state = 'failed') = (failure IS NOT NULL)),
    CHECK ((state IN ('completed', 'failed', 'cancelled')) = (ended_at IS NOT NULL))
) STRICT;

CREATE INDEX workflows_open ON workflows (number) WHERE ended_at IS NULL;

CREATE TRIGGER ended_workflows_are_final BEFORE UPDATE ON workflows WHEN old.ended_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a workflow that has ended does not change');
END;

-- The steps so far, in their order: run as a task each, or passed over.
CREATE TABLE workflow_steps (
    workflow_id BLOB NOT NULL REFERENCES workflows (id),
    position    INTEGER NOT NULL CHECK (position >= 0),
    -- Counted from 0, in the order of the definition.
    step        INTEGER NOT NULL CHECK (step >= 0),
    iteration   INTEGER NOT NULL CHECK (iteration > 0),
    task_id     BLOB REFERENCES tasks (id),
    passed_over TEXT,

    PRIMARY KEY (workflow_id, position),
    UNIQUE (workflow_id, step, iteration),
    CHECK ((task_id IS NULL) = (passed_over IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX workflow_steps_by_task ON workflow_steps (task_id) WHERE task_id IS NOT NULL;

CREATE TRIGGER workflow_steps_are_final BEFORE UPDATE ON workflow_steps
BEGIN
    SELECT RAISE(ABORT, 'a step that was begun or passed over stays so');
END;
