//! Tasks that sessions elsewhere dispatched.

use super::{task_columns, task_joins};

statements! {
    REPORTED_BACK_UP_TO = "SELECT up_to FROM reported_back";
    NOTE_REPORTED_BACK = "UPDATE reported_back SET up_to = max(up_to, ?1)";
    DISPATCHED_ENDED_BETWEEN = concat!(
        "SELECT ", task_columns!(), " FROM events e CROSS JOIN tasks t ON t.id = e.task_id ", task_joins!(),
        " WHERE e.cursor > ?1 AND e.cursor <= ?2
           AND e.state ->> '$.state' IN ('succeeded', 'failed', 'cancelled')
           AND t.spec ->> '$.session' IS NOT NULL
         ORDER BY e.cursor"
    );
}
