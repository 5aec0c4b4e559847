-- Checkpoints: what is kept of an attempt while it runs, so that another can go on from it.

-- Their files are artifacts of two kinds more. A CHECK cannot be changed in place: the table is
-- made anew (https://www.sqlite.org/lang_altertable.html#otheralter). Nothing refers to it.
CREATE TABLE artifacts_anew (
    attempt_id BLOB NOT NULL REFERENCES attempts (id),
    kind       TEXT NOT NULL CHECK (kind IN (
        'patch', 'bundle', 'file', 'checkpoint_work', 'checkpoint_transcript')),
    name       TEXT NOT NULL,
    bytes      INTEGER NOT NULL CHECK (bytes >= 0),
    sha256     BLOB NOT NULL CHECK (length(sha256) = 32),
    kept_at    INTEGER NOT NULL,
    PRIMARY KEY (attempt_id, kind, name)
) STRICT, WITHOUT ROWID;
INSERT INTO artifacts_anew SELECT attempt_id, kind, name, bytes, sha256, kept_at FROM artifacts;
DROP TABLE artifacts;
ALTER TABLE artifacts_anew RENAME TO artifacts;

-- The newest of each attempt; its files are the artifacts named by its number.
CREATE TABLE checkpoints (
    attempt_id BLOB PRIMARY KEY REFERENCES attempts (id),
    checkpoint TEXT NOT NULL CHECK (json_valid(checkpoint)),
    kept_at    INTEGER NOT NULL,
    CHECK (checkpoint ->> '$.number' >= 1)
) STRICT, WITHOUT ROWID;
