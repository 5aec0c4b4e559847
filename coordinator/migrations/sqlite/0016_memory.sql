-- What tasks have learned, for those that come later.
CREATE TABLE memories (
    -- The short number, in order of saving; also the row in the index.
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    id              BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    at              INTEGER NOT NULL,
    kind            TEXT NOT NULL CHECK (kind IN ('error', 'code', 'decision', 'fact', 'doc')),
    content         TEXT NOT NULL,
    -- An array of text.
    tags            TEXT NOT NULL CHECK (json_valid(tags)),
    repo            TEXT,
    project         TEXT,
    role            TEXT,
    task_id         BLOB REFERENCES tasks (id),
    -- Written by the coordinator at the task's end.
    is_summary      INTEGER NOT NULL CHECK (is_summary IN (0, 1)),
    idempotency_key TEXT UNIQUE,
    -- SHA-256 of where it belongs and of its words: the same is not kept twice.
    digest          BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    CHECK (NOT is_summary OR task_id IS NOT NULL)
) STRICT;

CREATE UNIQUE INDEX memories_one_summary ON memories (task_id) WHERE is_summary;
CREATE INDEX memories_by_task ON memories (task_id) WHERE task_id IS NOT NULL;
CREATE INDEX memories_by_repo ON memories (repo, number) WHERE repo IS NOT NULL;

-- The index alone, since the text stands above. Words are separated at whatever is no letter or
-- digit, `_` included, which takes names in snake_case apart; the parts of names in CamelCase are
-- given beside the text. Porter finds `failing` by `fails`.
CREATE VIRTUAL TABLE memory_index USING fts5 (
    content, parts, tags,
    content = '', contentless_delete = 1, tokenize = 'porter unicode61 remove_diacritics 2'
);

-- One vector a memory, by the newest model: unit length, 32-bit floats, little-endian.
CREATE TABLE memory_vectors (
    number     INTEGER PRIMARY KEY REFERENCES memories (number),
    model      TEXT NOT NULL,
    dimensions INTEGER NOT NULL CHECK (dimensions > 0),
    vector     BLOB NOT NULL,
    CHECK (length(vector) = 4 * dimensions)
) STRICT;

-- Up to which event of the feed ended tasks have their summaries. Those that ended before there
-- were any get none.
CREATE TABLE summarised (
    only  INTEGER PRIMARY KEY CHECK (only = 1),
    up_to INTEGER NOT NULL
) STRICT;
INSERT INTO summarised (only, up_to) SELECT 1, coalesce(max(cursor), 0) FROM events;
