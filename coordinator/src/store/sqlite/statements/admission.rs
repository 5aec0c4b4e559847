//! Files, keys and limits: who has what, who waits, what runs.

statements! {
    /// Running tasks by class.
    RUNNING =
        "SELECT p.requirements, running.tasks
         FROM (SELECT placement_id, count(*) AS tasks FROM tasks INDEXED BY tasks_by_state
               WHERE state IN ('leased', 'running', 'cancelling') GROUP BY placement_id) AS running
         CROSS JOIN placements p ON p.id = running.placement_id";
    /// The first of each class, which waits for what it wants for itself.
    WAITING =
        "SELECT t.id, t.number, t.priority, t.placement_id, t.repo, t.spec ->> '$.touches' AS files,
                t.spec ->> '$.keys' AS keys, t.prefer_worker, t.prefer_until
         FROM json_each(?1) AS class CROSS JOIN tasks t ON t.number IN (
             SELECT q.number FROM tasks q
             WHERE q.placement_id = class.value AND q.state = 'queued'
             ORDER BY q.priority DESC, q.number LIMIT ?2)";
    HELD_FILES =
        "SELECT a.task_id, l.repo, json_group_array(l.pattern) AS files
         FROM file_locks l CROSS JOIN attempts a ON a.id = l.attempt_id GROUP BY l.attempt_id, l.repo";
    HELD_KEYS =
        "SELECT a.task_id, json_group_array(k.key) AS keys
         FROM held_keys k CROSS JOIN attempts a ON a.id = k.attempt_id GROUP BY k.attempt_id";
    FILE_WISHES =
        "SELECT t.id, t.number, t.priority, t.repo, w.patterns AS files
         FROM lock_wishes w CROSS JOIN attempts a ON a.id = w.attempt_id CROSS JOIN tasks t ON t.id = a.task_id
         WHERE w.until > ?1";
    TAKE_FILES =
        "INSERT INTO file_locks (attempt_id, repo, pattern, since, by_agent)
         SELECT unhex(n.value ->> '$.attempt', '-'), n.value ->> '$.repo', n.value ->> '$.pattern',
                n.value ->> '$.since', n.value ->> '$.by_agent'
         FROM json_each(?1) AS n WHERE true
         ON CONFLICT (attempt_id, pattern) DO NOTHING";
    TAKE_KEYS =
        "INSERT INTO held_keys (attempt_id, key)
         SELECT unhex(n.value ->> '$.attempt', '-'), n.value ->> '$.key' FROM json_each(?1) AS n WHERE true
         ON CONFLICT (attempt_id, key) DO NOTHING";

    // What agents take at work.
    /// The task whose live attempt it is, as it stands in the line.
    AT_WORK =
        "SELECT t.id, t.number, t.priority, t.repo, a.state
         FROM attempts a CROSS JOIN tasks t ON t.id = a.task_id WHERE a.id = ?1";
    WISH_FILES =
        "INSERT INTO lock_wishes (attempt_id, call, patterns, until) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (attempt_id) DO UPDATE SET
             call = excluded.call, patterns = excluded.patterns, until = excluded.until";
    LATER_WISH =
        "SELECT EXISTS (SELECT 1 FROM lock_wishes WHERE attempt_id = ?1 AND call > ?2 AND until > ?3)";
    DROP_WISH = "DELETE FROM lock_wishes WHERE attempt_id = ?1 AND call = ?2";
    UNLOCK_FILES =
        "DELETE FROM file_locks WHERE attempt_id = ?1 AND by_agent
           AND (json_array_length(?2) = 0 OR pattern IN (SELECT p.value FROM json_each(?2) AS p))";

    // For people.
    FILE_LOCKS =
        "SELECT l.pattern, l.since FROM attempts a CROSS JOIN file_locks l ON l.attempt_id = a.id
         WHERE a.task_id = ?1 AND a.state IN ('offered', 'accepted', 'running', 'unreachable')
         ORDER BY l.pattern";
    TAKEN_SINCE =
        "SELECT a.task_id, l.pattern, l.since FROM json_each(?1) AS wanted
         CROSS JOIN attempts a ON a.task_id = unhex(wanted.value, '-')
              AND a.state IN ('offered', 'accepted', 'running', 'unreachable')
         CROSS JOIN file_locks l ON l.attempt_id = a.id";
    TITLES =
        "SELECT t.id, t.number, t.spec ->> '$.title' FROM json_each(?1) AS wanted
         CROSS JOIN tasks t ON t.id = unhex(wanted.value, '-')";
}
