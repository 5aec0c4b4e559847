//! A task and its children.

macro_rules! descendants {
    () => {
        "WITH RECURSIVE family (id) AS (
             SELECT c.id FROM tasks c WHERE c.parent_id = ?1
             UNION
             SELECT c.id FROM family CROSS JOIN tasks c ON c.parent_id = family.id)"
    };
}

statements! {
    /// How many stand above a task, and how many of its children have not ended.
    ROOM_FOR_CHILDREN =
        "WITH RECURSIVE above (id, parent_id, depth) AS (
             SELECT id, parent_id, 0 FROM tasks WHERE id = ?1
             UNION ALL
             SELECT p.id, p.parent_id, above.depth + 1 FROM above CROSS JOIN tasks p ON p.id = above.parent_id
             WHERE above.depth < 1000)
         SELECT max(depth), (SELECT count(*) FROM tasks c WHERE c.parent_id = ?1 AND c.ended_at IS NULL)
         FROM above";
    LIVE_DESCENDANTS = concat!(
        descendants!(),
        " SELECT t.id FROM family CROSS JOIN tasks t ON t.id = family.id
          WHERE t.ended_at IS NULL AND t.state <> 'cancelling' ORDER BY t.number"
    );
    /// Children that have just ended, for their parents.
    ENDED_CHILDREN =
        "SELECT t.parent_id, t.number, t.spec ->> '$.title' AS title, t.state, t.attempt_id, t.wake_at,
                t.parked_because, t.failure, t.cancelled_because, t.attempts, t.agent_failures,
                t.infrastructure_failures, t.usage_limits, a.worker_id, a.state AS attempt_state,
                a.unreachable_since, a.report
         FROM json_each(?1) AS ended
         CROSS JOIN tasks t ON t.id = unhex(ended.value, '-')
         LEFT JOIN attempts a ON a.id = t.attempt_id
         WHERE t.parent_id IS NOT NULL
         ORDER BY ended.key";
    /// The queue of a recursive query is first in, first out: the nearest come first, and are those that remain.
    RELATED =
        "WITH RECURSIVE related (id) AS (
             SELECT unhex(wanted.value, '-') FROM json_each(?1) AS wanted
             UNION
             SELECT d.needs_id FROM related CROSS JOIN dependencies d ON d.task_id = related.id
             UNION
             SELECT d.task_id FROM related CROSS JOIN dependencies d ON d.needs_id = related.id
             UNION
             SELECT up.parent_id FROM related CROSS JOIN tasks up ON up.id = related.id
             WHERE up.parent_id IS NOT NULL
             UNION
             SELECT c.id FROM related CROSS JOIN tasks c ON c.parent_id = related.id
             LIMIT ?2)
         SELECT t.id, t.number, t.spec ->> '$.title' AS title, t.state, t.parent_id,
                (SELECT json_group_array(hex(d.needs_id) ORDER BY d.position)
                 FROM dependencies d WHERE d.task_id = t.id) AS after
         FROM related CROSS JOIN tasks t ON t.id = related.id";
    NOTE_PROGRESS =
        "UPDATE tasks SET progress = ?3
         WHERE id = ?1 AND attempt_id = ?2 AND state IN ('leased', 'running', 'cancelling')";
}
