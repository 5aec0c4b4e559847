-- Repositories that people gave a name.
CREATE TABLE repos (
    name         TEXT PRIMARY KEY,
    -- The same for all ways to write it, as in `tasks.repo`.
    repo         TEXT NOT NULL UNIQUE,
    -- What git fetches from.
    source       TEXT NOT NULL,
    default_role TEXT,
    added_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What lies on each worker's disk, as its newest session said last.
CREATE TABLE repo_copies (
    worker_id      BLOB NOT NULL REFERENCES workers (id),
    source         TEXT NOT NULL,
    repo           TEXT NOT NULL,
    -- Null: never.
    fetched_at     INTEGER,
    bytes          INTEGER NOT NULL CHECK (bytes >= 0),
    -- Empty where it is not known, both.
    default_branch TEXT NOT NULL,
    head           TEXT NOT NULL,
    -- What the last fetch failed of; empty: it did not.
    error          TEXT NOT NULL,
    PRIMARY KEY (worker_id, source)
) STRICT, WITHOUT ROWID;

CREATE INDEX repo_copies_by_repo ON repo_copies (repo, worker_id);

CREATE TABLE worktrees (
    worker_id       BLOB NOT NULL REFERENCES workers (id),
    path            TEXT NOT NULL,
    source          TEXT NOT NULL,
    repo            TEXT NOT NULL,
    -- Empty: none is checked out.
    branch          TEXT NOT NULL,
    kind            TEXT NOT NULL CHECK (kind IN ('attempt', 'kept', 'by_hand')),
    -- As the worker says: no promise that they are known here.
    task_id         BLOB CHECK (length(task_id) = 16),
    attempt_id      BLOB CHECK (length(attempt_id) = 16),
    head            TEXT NOT NULL,
    uncommitted     INTEGER NOT NULL CHECK (uncommitted >= 0),
    unsaved_commits INTEGER NOT NULL CHECK (unsaved_commits >= 0),
    bytes           INTEGER NOT NULL CHECK (bytes >= 0),
    made_at         INTEGER NOT NULL,
    seen_at         INTEGER NOT NULL,
    PRIMARY KEY (worker_id, path)
) STRICT, WITHOUT ROWID;

CREATE INDEX worktrees_by_repo ON worktrees (repo, branch);

-- Tasks that a session elsewhere dispatched, and up to where in the feed their ends were reported back.
CREATE INDEX tasks_by_session ON tasks (spec ->> '$.session', number) WHERE spec ->> '$.session' IS NOT NULL;

CREATE TABLE reported_back (
    only  INTEGER PRIMARY KEY CHECK (only = 1),
    up_to INTEGER NOT NULL
) STRICT;
INSERT INTO reported_back (only, up_to) SELECT 1, coalesce(max(cursor), 0) FROM events;

-- GitHub's repositories are one however they are written.
UPDATE tasks SET repo = substr(repo, 20)
WHERE repo GLOB 'https://github.com/*/*' AND repo NOT GLOB 'https://github.com/*/*/*';
UPDATE tasks SET repo = substr(repo, 16)
WHERE repo GLOB 'git@github.com:*/*' AND repo NOT GLOB 'git@github.com:*/*/*';
UPDATE tasks SET repo = substr(repo, 22)
WHERE repo GLOB 'ssh://git@github.com/*/*' AND repo NOT GLOB 'ssh://git@github.com/*/*/*';
UPDATE tasks SET repo = substr(repo, 1, length(repo) - 4)
WHERE repo GLOB '[^/]*/*.git' AND repo NOT GLOB '*/*/*' AND repo NOT GLOB '*:*';
UPDATE memories SET repo = substr(repo, 20)
WHERE repo GLOB 'https://github.com/*/*' AND repo NOT GLOB 'https://github.com/*/*/*';
UPDATE memories SET repo = substr(repo, 16)
WHERE repo GLOB 'git@github.com:*/*' AND repo NOT GLOB 'git@github.com:*/*/*';
UPDATE memories SET repo = substr(repo, 22)
WHERE repo GLOB 'ssh://git@github.com/*/*' AND repo NOT GLOB 'ssh://git@github.com/*/*/*';
UPDATE memories SET repo = substr(repo, 1, length(repo) - 4)
WHERE repo GLOB '[^/]*/*.git' AND repo NOT GLOB '*/*/*' AND repo NOT GLOB '*:*';
