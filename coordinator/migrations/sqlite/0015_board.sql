-- What agents and people say to one another. Kept for good, as the tasks they speak of are.
CREATE TABLE messages (
    -- The position to resume after.
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    at           INTEGER NOT NULL,
    -- A role, a person's name, or `factory`.
    sender       TEXT NOT NULL CHECK (sender <> ''),
    -- The task it comes from, and where its agent posted it, the attempt.
    from_task    BLOB REFERENCES tasks (id),
    from_attempt BLOB REFERENCES attempts (id),
    -- `all`, `user`, `task`, or a role's name.
    recipient    TEXT NOT NULL CHECK (recipient <> ''),
    to_task      BLOB REFERENCES tasks (id),
    type         TEXT NOT NULL CHECK (type IN ('info', 'question', 'handoff', 'status', 'error')),
    content      TEXT NOT NULL CHECK (content <> ''),
    reply_to     INTEGER REFERENCES messages (number),
    -- The first of its thread; null: it is that one.
    thread       INTEGER REFERENCES messages (number),
    key          TEXT UNIQUE,
    CHECK ((recipient = 'task') = (to_task IS NOT NULL)),
    CHECK (from_attempt IS NULL OR from_task IS NOT NULL),
    CHECK ((reply_to IS NULL) = (thread IS NULL)),
    CHECK (reply_to < number AND thread <= reply_to)
) STRICT;

CREATE INDEX messages_from ON messages (from_task, number) WHERE from_task IS NOT NULL;
CREATE INDEX messages_to ON messages (to_task, number) WHERE to_task IS NOT NULL;
CREATE INDEX messages_for ON messages (recipient, number);
CREATE INDEX messages_by_sender ON messages (sender, number);
CREATE INDEX messages_by_type ON messages (type, number);
CREATE INDEX messages_in_thread ON messages (thread, number) WHERE thread IS NOT NULL;

CREATE TRIGGER messages_are_final BEFORE UPDATE ON messages
BEGIN
    SELECT RAISE(ABORT, 'a message does not change');
END;

-- Full text over the content, which it does not keep a second time.
CREATE VIRTUAL TABLE messages_text USING fts5 (
    content, content = 'messages', content_rowid = 'number', tokenize = 'unicode61 remove_diacritics 2');

CREATE TRIGGER messages_are_searched AFTER INSERT ON messages
BEGIN
    INSERT INTO messages_text (rowid, content) VALUES (new.number, new.content);
END;

-- Up to which message each task's agent has read the board. No row: nothing since its submit.
CREATE TABLE board_read (
    task_id BLOB PRIMARY KEY REFERENCES tasks (id),
    up_to   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What one task gives another. With no recipient it is for whatever depends on the task.
CREATE TABLE handoffs (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    at           INTEGER NOT NULL,
    from_task    BLOB NOT NULL REFERENCES tasks (id),
    from_attempt BLOB REFERENCES attempts (id),
    from_role    TEXT,
    to_task      BLOB REFERENCES tasks (id),
    to_role      TEXT,
    workflow_id  BLOB CHECK (length(workflow_id) = 16),
    -- Of the workflow; 0 outside of one.
    iteration    INTEGER NOT NULL CHECK (iteration >= 0),
    context      TEXT NOT NULL,
    artifacts    TEXT NOT NULL CHECK (json_valid(artifacts)),
    branch       TEXT,
    key          TEXT UNIQUE,
    CHECK (to_task IS NULL OR to_role IS NULL),
    CHECK (workflow_id IS NOT NULL OR iteration = 0)
) STRICT;

CREATE INDEX handoffs_from ON handoffs (from_task, number);
CREATE INDEX handoffs_of_workflow ON handoffs (workflow_id, number) WHERE workflow_id IS NOT NULL;

CREATE TRIGGER handoffs_are_final BEFORE UPDATE ON handoffs
BEGIN
    SELECT RAISE(ABORT, 'a handoff does not change');
END;

-- The tasks that each handoff has come to.
CREATE TABLE handed_to (
    task_id BLOB NOT NULL REFERENCES tasks (id),
    handoff INTEGER NOT NULL REFERENCES handoffs (number),
    PRIMARY KEY (task_id, handoff)
) STRICT, WITHOUT ROWID;

CREATE INDEX handed_to_by_handoff ON handed_to (handoff);
