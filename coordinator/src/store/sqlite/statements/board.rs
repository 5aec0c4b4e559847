//! Messages and handoffs. Lists put theirs together from the filters given, around `message_columns`.

/// What [`MessageRow`](super::super::board::MessageRow) reads.
macro_rules! message_columns {
    () => {
        "m.number, m.id, m.at, m.sender, m.from_task, f.number AS from_number, m.from_attempt, m.recipient,
         m.to_task, d.number AS to_number, m.type, m.content, m.reply_to, r.id AS reply_to_id,
         m.thread, h.id AS thread_id, CASE WHEN m.thread IS NULL THEN
             (SELECT count(*) FROM messages o WHERE o.thread = m.number) ELSE 0 END AS replies"
    };
}
pub(in crate::store::sqlite) use message_columns;

macro_rules! message_joins {
    () => {
        "LEFT JOIN tasks f ON f.id = m.from_task LEFT JOIN tasks d ON d.id = m.to_task
         LEFT JOIN messages r ON r.number = m.reply_to LEFT JOIN messages h ON h.number = m.thread"
    };
}
pub(in crate::store::sqlite) use message_joins;

/// What [`HandoffRow`](super::super::handoff::HandoffRow) reads.
macro_rules! handoff_columns {
    () => {
        "h.number, h.id, h.at, h.from_task, f.number AS from_number, f.spec ->> '$.title' AS from_title,
         h.from_role, h.from_attempt, h.to_task, d.number AS to_number, h.to_role, h.workflow_id, h.iteration,
         h.context, h.artifacts, h.branch
         FROM handoffs h CROSS JOIN tasks f ON f.id = h.from_task LEFT JOIN tasks d ON d.id = h.to_task"
    };
}
pub(in crate::store::sqlite) use handoff_columns;

/// Numbers of the tasks in one of the states of `$states` that pass `$which`, those at work first. In each
/// state only so many of the oldest are looked at: a backlog of millions keeps no writer waiting.
macro_rules! live_tasks {
    ($states:literal, $which:literal, $limit:literal) => {
        concat!(
            "SELECT number FROM (
                 SELECT q.number FROM json_each(",
            $states,
            ") AS s CROSS JOIN tasks q ON q.number IN (
                     SELECT l.number FROM tasks l WHERE l.state = s.value ORDER BY l.number LIMIT 5000)
                 WHERE ",
            $which,
            " ORDER BY s.key, q.number LIMIT ",
            $limit,
            ")"
        )
    };
}

/// Numbers of messages to the agent of ?1, from where it has read on, that it was not told of.
macro_rules! unread {
    ($which:literal) => {
        concat!(
            "SELECT number FROM (SELECT c.number FROM messages c
             WHERE ",
            $which,
            " AND c.number > coalesce((SELECT up_to FROM board_read WHERE task_id = ?1), 0)
               AND (c.from_attempt IS NULL OR c.from_task <> ?1)
               AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.task_id = ?1 AND i.message = c.number
                   AND i.number <= coalesce((SELECT up_to FROM told WHERE task_id = ?1), 0))
             ORDER BY c.number LIMIT ?2)"
        )
    };
}

statements! {
    POST =
        "INSERT INTO messages (id, at, sender, from_task, from_attempt, recipient, to_task, type, content,
                               reply_to, thread, key)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,
                 (SELECT coalesce(p.thread, p.number) FROM messages p WHERE p.number = ?10), ?11)
         RETURNING number";
    MESSAGE_UNDER_KEY = concat!(
        "SELECT ", message_columns!(), " FROM messages m ", message_joins!(), " WHERE m.key = ?1"
    );
    MESSAGE_NUMBERED = concat!(
        "SELECT ", message_columns!(), " FROM messages m ", message_joins!(), " WHERE m.number = ?1"
    );
    MESSAGE_WITH_ID = concat!(
        "SELECT ", message_columns!(), " FROM messages m ", message_joins!(), " WHERE m.id = ?1"
    );
    /// The task ?4; of the tasks in the states ?6 those of role ?7, or without one those that have begun;
    /// whose agents posted in the thread of ?5. None that has ended, nor ?3, whose agent posts.
    TELL_OF_MESSAGE = concat!(
        "INSERT INTO inbox (task_id, at, notice, message)
         SELECT t.id, ?1, ?2, ?9 FROM tasks t
         WHERE t.ended_at IS NULL AND t.id IS NOT ?3 AND t.number IN (
             SELECT a.number FROM tasks a WHERE a.id = ?4
             UNION
             SELECT p.number FROM messages m CROSS JOIN tasks p ON p.id = m.from_task
             WHERE m.number = ?5 AND m.from_attempt IS NOT NULL
             UNION
             SELECT p.number FROM messages m CROSS JOIN tasks p ON p.id = m.from_task
             WHERE m.thread = ?5 AND m.from_attempt IS NOT NULL
             UNION ",
        live_tasks!("?6", "coalesce(q.spec ->> '$.role' = ?7, ?7 IS NULL AND q.attempts > 0)", "?8"),
        ")
         ORDER BY t.number"
    );
    /// The newest of a thread, newest first.
    THREAD = concat!(
        "SELECT ", message_columns!(), " FROM messages m ", message_joins!(), "
         WHERE m.number IN (
             SELECT ?1 UNION ALL
             SELECT number FROM (SELECT number FROM messages WHERE thread = ?1 ORDER BY number DESC LIMIT ?2))
         ORDER BY m.number DESC LIMIT ?2"
    );
    /// What the agent of ?1 has neither read nor been told of, each kind of recipient by its own index.
    UNREAD = concat!(
        "SELECT ", message_columns!(), " FROM tasks t CROSS JOIN messages m ", message_joins!(), "
         WHERE t.id = ?1 AND m.number IN (",
        unread!("c.recipient = 'all' AND c.at >= t.submitted_at"),
        " UNION ALL ",
        unread!("c.recipient = t.spec ->> '$.role' AND c.to_task IS NULL AND c.at >= t.submitted_at"),
        " UNION ALL ",
        unread!("c.to_task = ?1"),
        ")
         ORDER BY m.number LIMIT ?2"
    );
    NOTE_READ =
        "INSERT INTO board_read (task_id, up_to) VALUES (?1, ?2)
         ON CONFLICT (task_id) DO UPDATE SET up_to = max(up_to, excluded.up_to)";
    /// What an agent has read it need not be told of.
    FORGET_NOTICES =
        "DELETE FROM inbox WHERE task_id = ?1 AND message IN (SELECT value FROM json_each(?2))";
    LAST_MESSAGE = "SELECT coalesce(max(number), 0) FROM messages";

    HAND_OFF =
        "INSERT INTO handoffs (id, at, from_task, from_attempt, from_role, to_task, to_role, workflow_id, iteration,
                               context, artifacts, branch, key)
         VALUES (?1, ?2, ?3, ?4, (SELECT spec ->> '$.role' FROM tasks WHERE id = ?3), ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         RETURNING number";
    HANDOFF_UNDER_KEY = concat!("SELECT ", handoff_columns!(), " WHERE h.key = ?1");
    HANDOFF_NUMBERED = concat!("SELECT ", handoff_columns!(), " WHERE h.number = ?1");
    HANDOFF_WITH_ID = concat!("SELECT ", handoff_columns!(), " WHERE h.id = ?1");
    /// Enters where the handoff ?1 comes to: the task ?2; what depends on ?6; of the tasks in the states ?3
    /// those of role ?4.
    HAND_TO = concat!(
        "INSERT INTO handed_to (task_id, handoff)
         SELECT t.id, ?1 FROM tasks t WHERE t.id = ?2
         UNION
         SELECT d.task_id, ?1 FROM dependencies d WHERE d.needs_id = ?6
         UNION
         SELECT t.id, ?1 FROM tasks t WHERE t.number IN (",
        live_tasks!("?3", "q.spec ->> '$.role' = ?4", "?5"),
        ")"
    );
    /// Enters what new tasks are handed by those they depend on: the last few of each.
    HAND_TO_DEPENDENTS =
        "INSERT INTO handed_to (task_id, handoff)
         SELECT d.task_id, h.number
         FROM json_each(?1) AS n CROSS JOIN dependencies d ON d.task_id = unhex(n.value, '-')
         CROSS JOIN handoffs h ON h.number IN (
             SELECT l.number FROM handoffs l
             WHERE l.from_task = d.needs_id AND l.to_task IS NULL AND l.to_role IS NULL
             ORDER BY l.number DESC LIMIT ?2)
         RETURNING task_id, handoff";
    HANDOFFS_NUMBERED = concat!(
        "SELECT ", handoff_columns!(), " WHERE h.number IN (SELECT value FROM json_each(?1))"
    );
    TELL_OF_HANDOFF =
        "INSERT INTO inbox (task_id, at, notice)
         SELECT t.id, ?2, ?3 FROM handed_to g CROSS JOIN tasks t ON t.id = g.task_id
         WHERE g.handoff = ?1 AND t.ended_at IS NULL ORDER BY t.number";
}
