-- What agents asked people, and what came of it.
CREATE TABLE questions (
    -- The short number, in order of asking.
    number         INTEGER PRIMARY KEY AUTOINCREMENT,
    id             BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    task_id        BLOB NOT NULL REFERENCES tasks (id),
    attempt_id     BLOB NOT NULL REFERENCES attempts (id),
    -- By which the same question, asked again by the same attempt, is known.
    key            TEXT NOT NULL,
    asked_at       INTEGER NOT NULL,
    text           TEXT NOT NULL CHECK (text <> ''),
    -- An array; empty: any answer.
    options        TEXT NOT NULL CHECK (json_type(options) = 'array'),
    default_answer TEXT,
    deadline_at    INTEGER,

    -- Withdrawn: its task ended first.
    state          TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'answered', 'expired', 'withdrawn')),
    settled_at     INTEGER,
    answer         TEXT,
    answered_by    TEXT,

    UNIQUE (attempt_id, key),
    CHECK (default_answer IS NULL OR deadline_at IS NOT NULL),
    CHECK ((state = 'open') = (settled_at IS NULL)),
    CHECK ((answer IS NULL) = (answered_by IS NULL)),
    CHECK (state <> 'answered' OR answer IS NOT NULL),
    CHECK (state NOT IN ('open', 'withdrawn') OR answer IS NULL),
    CHECK (state <> 'expired' OR (deadline_at IS NOT NULL AND answer IS default_answer))
) STRICT;

CREATE INDEX questions_by_task ON questions (task_id, number);
CREATE INDEX questions_open ON questions (number) WHERE state = 'open';
CREATE INDEX questions_due ON questions (deadline_at) WHERE state = 'open' AND deadline_at IS NOT NULL;

CREATE TRIGGER questions_settled_are_final BEFORE UPDATE ON questions WHEN old.state <> 'open'
BEGIN
    SELECT RAISE(ABORT, 'a settled question does not change');
END;
