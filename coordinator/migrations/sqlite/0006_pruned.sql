-- What the retention has removed, so that whoever asks for it is told so. An artifact's row
-- moves here when its file goes; a log has no row of its own, and gets one here.
CREATE TABLE pruned (
    attempt_id BLOB NOT NULL REFERENCES attempts (id),
    -- `log`, or the artifact's kind.
    kind       TEXT NOT NULL,
    -- The artifact's; empty for a log.
    name       TEXT NOT NULL,
    bytes      INTEGER NOT NULL CHECK (bytes >= 0),
    pruned_at  INTEGER NOT NULL,
    -- The rule by which it went.
    because    TEXT NOT NULL CHECK (json_valid(because)),
    PRIMARY KEY (attempt_id, kind, name)
) STRICT, WITHOUT ROWID;
