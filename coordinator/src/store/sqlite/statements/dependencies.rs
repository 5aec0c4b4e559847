//! Tasks that wait for others.

statements! {
    ADD_DEPENDENCIES =
        "INSERT INTO dependencies (task_id, position, needs_id, settled)
         SELECT unhex(n.value ->> '$.task', '-'), n.value ->> '$.position',
                unhex(n.value ->> '$.needs', '-'), n.value ->> '$.settled'
         FROM json_each(?1) AS n";
    /// Notes how tasks ended for those that wait for them, and says who these are.
    SETTLE_DEPENDENCIES =
        "UPDATE dependencies INDEXED BY dependencies_open SET settled = m.value ->> '$.settled'
         FROM json_each(?1) AS m
         WHERE dependencies.needs_id = unhex(m.value ->> '$.task', '-') AND dependencies.settled IS NULL
         RETURNING task_id, needs_id";
    /// All dependencies of those that are still blocked.
    DEPENDENCIES_OF_BLOCKED =
        "SELECT d.task_id, t.on_failed_dependency, t.held, d.needs_id, d.settled
         FROM json_each(?1) AS wanted
         CROSS JOIN tasks t ON t.id = unhex(wanted.value, '-') AND t.state = 'blocked'
         CROSS JOIN dependencies d ON d.task_id = t.id
         ORDER BY wanted.key, d.position";
}
