//! What is kept of attempts, and what was removed.

statements! {
    LOG_STANDINGS =
        "SELECT a.id, a.task_id, t.ended_at,
                EXISTS (SELECT 1 FROM pruned p WHERE p.attempt_id = a.id AND p.kind = 'log')
         FROM json_each(?1) AS wanted
         CROSS JOIN attempts a ON a.id = unhex(wanted.value, '-')
         CROSS JOIN tasks t ON t.id = a.task_id";
    KEPT_ARTIFACTS =
        "SELECT f.attempt_id, f.kind, f.name, f.bytes, f.sha256, a.task_id, t.state, t.ended_at,
                coalesce(t.spec ->> '$.keep_session', false) AS keep_session,
                CASE f.kind WHEN 'bundle' THEN a.report ->> '$.commits[0].id' END AS newest,
                CASE f.kind WHEN 'bundle' THEN (
                    SELECT json_group_array(c.value ->> '$.id')
                    FROM attempts p CROSS JOIN json_each(p.report, '$.commits') AS c
                    WHERE p.task_id = a.task_id AND p.report ->> '$.delivery.kind' = 'pushed') END AS pushed
         FROM artifacts f CROSS JOIN attempts a ON a.id = f.attempt_id CROSS JOIN tasks t ON t.id = a.task_id
         WHERE (f.attempt_id, f.kind, f.name) > (?1, ?2, ?3)
         ORDER BY f.attempt_id, f.kind, f.name LIMIT ?4";
    PRUNE_LOGS =
        "INSERT INTO pruned (attempt_id, kind, name, bytes, pruned_at, because)
         SELECT a.id, m.value ->> '$.kind', m.value ->> '$.name', m.value ->> '$.bytes', ?2, m.value -> '$.because'
         FROM json_each(?1) AS m
         CROSS JOIN attempts a ON a.id = unhex(m.value ->> '$.attempt', '-')
         CROSS JOIN tasks t ON t.id = a.task_id
         WHERE t.ended_at IS NOT NULL
         ON CONFLICT (attempt_id, kind, name) DO NOTHING
         RETURNING attempt_id";
    PRUNE_ARTIFACTS =
        "INSERT INTO pruned (attempt_id, kind, name, bytes, pruned_at, because)
         SELECT f.attempt_id, f.kind, f.name, f.bytes, ?2, m.value -> '$.because'
         FROM json_each(?1) AS m
         CROSS JOIN artifacts f ON f.attempt_id = unhex(m.value ->> '$.attempt', '-')
              AND f.kind = m.value ->> '$.kind' AND f.name = m.value ->> '$.name'
         CROSS JOIN attempts a ON a.id = f.attempt_id
         CROSS JOIN tasks t ON t.id = a.task_id
         WHERE t.ended_at IS NOT NULL
         ON CONFLICT (attempt_id, kind, name) DO UPDATE SET
             bytes = excluded.bytes, pruned_at = excluded.pruned_at, because = excluded.because
         RETURNING attempt_id, kind, name";
    FORGET_PRUNED =
        "DELETE FROM artifacts WHERE (attempt_id, kind, name) IN (
             SELECT p.attempt_id, p.kind, p.name
             FROM json_each(?1) AS m
             CROSS JOIN pruned p ON p.attempt_id = unhex(m.value ->> '$.attempt', '-')
                  AND p.kind = m.value ->> '$.kind' AND p.name = m.value ->> '$.name'
             WHERE p.pruned_at = ?2)";
    PRUNED =
        "SELECT kind, name, bytes, pruned_at, because FROM pruned WHERE attempt_id = ?1 ORDER BY kind, name";
}
