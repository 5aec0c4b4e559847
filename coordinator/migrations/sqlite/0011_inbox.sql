-- What the agent of a task is to be told beside its work, in order, each once: answers, messages to
-- it, handoffs, children that ended. Written in the transaction in which it came about.
CREATE TABLE inbox (
    -- Grows over all tasks: the position to go on after.
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id BLOB NOT NULL REFERENCES tasks (id),
    at      INTEGER NOT NULL,
    -- A notice of the domain.
    notice  TEXT NOT NULL CHECK (json_valid(notice))
) STRICT;

CREATE INDEX inbox_by_task ON inbox (task_id, number);

-- Up to where each task's agent has been told. No row: nothing.
CREATE TABLE told (
    task_id BLOB PRIMARY KEY REFERENCES tasks (id),
    up_to   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
