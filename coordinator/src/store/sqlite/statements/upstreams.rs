//! The work of others that tasks start from.

use super::{task_columns, task_joins};

statements! {
    /// The one a task goes on from before those it waits for.
    NEEDED_BY = concat!(
        "WITH needs (id, place, position) AS (
             SELECT d.needs_id, wanted.key, d.position
             FROM json_each(?1) AS wanted CROSS JOIN dependencies d ON d.task_id = unhex(wanted.value, '-')
             UNION ALL
             SELECT f.goes_on_from, wanted.key, -1
             FROM json_each(?1) AS wanted CROSS JOIN tasks f ON f.id = unhex(wanted.value, '-')
             WHERE f.goes_on_from IS NOT NULL)
         SELECT ", task_columns!(), "
         FROM needs n CROSS JOIN tasks t ON t.id = n.id ", task_joins!(), "
         ORDER BY n.place, n.position"
    );
}
