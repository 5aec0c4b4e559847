//! What agents are to be told.

statements! {
    ADD_NOTICES =
        "INSERT INTO inbox (task_id, at, notice)
         SELECT t.id, ?2, n.value ->> '$.notice'
         FROM json_each(?1) AS n CROSS JOIN tasks t ON t.id = unhex(n.value ->> '$.task', '-')
         WHERE t.ended_at IS NULL
         ORDER BY n.key";
    /// After the later of what is asked for and what the agent has been told.
    NOTICES =
        "SELECT i.number, i.notice FROM inbox i
         WHERE i.task_id = ?1
           AND i.number > max(?2, coalesce((SELECT up_to FROM told WHERE task_id = ?1), 0))
         ORDER BY i.number LIMIT ?3";
    NOTE_TOLD =
        "INSERT INTO told (task_id, up_to) VALUES (?1, ?2)
         ON CONFLICT (task_id) DO UPDATE SET up_to = max(up_to, excluded.up_to)";
}
