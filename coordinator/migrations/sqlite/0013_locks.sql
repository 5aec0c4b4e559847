-- What tasks have for themselves while an attempt of theirs is live, and who of them waits for more.

-- Files, as paths and globs in a repository: no two tasks have overlapping ones.
CREATE TABLE file_locks (
    attempt_id BLOB NOT NULL REFERENCES attempts (id),
    repo       TEXT NOT NULL,
    pattern    TEXT NOT NULL,
    since      INTEGER NOT NULL,
    -- Taken by the agent at work; otherwise it came with the lease, and stays as long as that.
    by_agent   INTEGER NOT NULL CHECK (by_agent IN (0, 1)),
    PRIMARY KEY (attempt_id, pattern)
) STRICT, WITHOUT ROWID;

-- Concurrency keys: no more tasks have one than its limit says.
CREATE TABLE held_keys (
    attempt_id BLOB NOT NULL REFERENCES attempts (id),
    key        TEXT NOT NULL,
    PRIMARY KEY (attempt_id, key)
) STRICT, WITHOUT ROWID;

-- Files that an agent at work waits for.
CREATE TABLE lock_wishes (
    attempt_id BLOB PRIMARY KEY REFERENCES attempts (id),
    -- The call that waits: of several by one attempt the newest.
    call       BLOB NOT NULL CHECK (length(call) = 16),
    patterns   TEXT NOT NULL CHECK (json_valid(patterns)),
    -- Nobody waits past this time, whatever became of who did.
    until      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Whichever way a lease ends, what came with it goes with it.
CREATE TRIGGER attempts_give_back AFTER UPDATE OF state ON attempts
    WHEN old.state IN ('offered', 'accepted', 'running', 'unreachable')
        AND new.state NOT IN ('offered', 'accepted', 'running', 'unreachable')
BEGIN
    DELETE FROM file_locks WHERE attempt_id = old.id;
    DELETE FROM held_keys WHERE attempt_id = old.id;
    DELETE FROM lock_wishes WHERE attempt_id = old.id;
END;

-- Classes say more than what is asked of a worker from now on: repository, role and submitter, and
-- whether their tasks want something for themselves. Tasks that have not ended get theirs.
CREATE TEMP TABLE classes AS
    SELECT t.number AS number, json_patch(p.requirements, json_object(
               'repo', t.repo, 'role', t.spec ->> '$.role', 'submitter', t.spec ->> '$.submitter',
               'exclusive', CASE WHEN coalesce(json_array_length(t.spec, '$.touches'), 0)
                                    + coalesce(json_array_length(t.spec, '$.keys'), 0) > 0
                                 THEN json('true') END)) AS class
    FROM tasks t JOIN placements p ON p.id = t.placement_id
    WHERE t.state NOT IN ('succeeded', 'failed', 'cancelled');
INSERT INTO placements (requirements) SELECT DISTINCT class FROM classes WHERE true ON CONFLICT DO NOTHING;
UPDATE tasks
    SET placement_id = (SELECT p.id FROM placements p WHERE p.requirements = c.class)
    FROM temp.classes AS c WHERE tasks.number = c.number;
DROP TABLE temp.classes;

-- Running tasks are counted by class.
DROP INDEX tasks_by_state;
CREATE INDEX tasks_by_state ON tasks (state, number, placement_id);
