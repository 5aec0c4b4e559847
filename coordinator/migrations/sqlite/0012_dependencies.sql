-- Those that a task waits for, in the order given at its submit: so their branches are merged.
CREATE TABLE dependencies (
    task_id  BLOB NOT NULL REFERENCES tasks (id),
    position INTEGER NOT NULL CHECK (position >= 0),
    needs_id BLOB NOT NULL REFERENCES tasks (id),
    -- How it ended for those that wait for it; null: it has not.
    settled  TEXT CHECK (settled IN ('succeeded', 'skipped', 'failed')),

    PRIMARY KEY (task_id, position),
    UNIQUE (task_id, needs_id),
    CHECK (task_id <> needs_id)
) STRICT, WITHOUT ROWID;

-- What the end of a task settles. Empty of what has ended, so that a plain task's end looks in vain at once.
CREATE INDEX dependencies_open ON dependencies (needs_id) WHERE settled IS NULL;
-- Who started from it.
CREATE INDEX dependencies_by_needs ON dependencies (needs_id, task_id);

CREATE INDEX tasks_by_role ON tasks (spec ->> '$.role', number) WHERE spec ->> '$.role' IS NOT NULL;
