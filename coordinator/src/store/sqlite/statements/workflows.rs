//! Runs of workflows.

macro_rules! workflow_columns {
    () => {
        "number, id, request, definition, branch, state, failure, cancel_wished, iteration, started_at,
         updated_at, ended_at"
    };
}

statements! {
    START_WORKFLOW = concat!(
        "INSERT INTO workflows (id, name, request, definition, idempotency_key, branch, started_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) RETURNING ", workflow_columns!()
    );
    WORKFLOW_OF_KEY =
        concat!("SELECT ", workflow_columns!(), " FROM workflows WHERE idempotency_key = ?1");
    WORKFLOW_BY_NUMBER = "SELECT id FROM workflows WHERE number = ?1";
    WORKFLOWS_BETWEEN = "SELECT id FROM workflows WHERE id BETWEEN ?1 AND ?2 LIMIT 2";
    WORKFLOW = concat!("SELECT ", workflow_columns!(), " FROM workflows WHERE id = ?1");
    WORKFLOWS = concat!(
        "SELECT ", workflow_columns!(), " FROM workflows
         WHERE (?1 = '[]' OR state IN (SELECT s.value FROM json_each(?1) AS s)) AND number < ?2
         ORDER BY number DESC LIMIT ?3"
    );
    OPEN_WORKFLOWS = "SELECT id FROM workflows WHERE ended_at IS NULL ORDER BY number";
    WORKFLOW_STEPS =
        "SELECT step, iteration, task_id, passed_over FROM workflow_steps WHERE workflow_id = ?1
         ORDER BY position";
    /// How many it has come through; nothing where no further one may begin.
    STEPS_OF_GOING_WORKFLOW =
        "SELECT (SELECT count(*) FROM workflow_steps s WHERE s.workflow_id = w.id) FROM workflows w
         WHERE w.id = ?1 AND w.ended_at IS NULL AND NOT w.cancel_wished";
    ADD_STEP =
        "INSERT INTO workflow_steps (workflow_id, position, step, iteration, task_id, passed_over)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    WORKFLOW_GOES_ON =
        "UPDATE workflows SET state = 'running', iteration = ?2, updated_at = ?3
         WHERE id = ?1 AND ended_at IS NULL";
    END_WORKFLOW =
        "UPDATE workflows SET state = ?2, failure = ?3, updated_at = ?4, ended_at = ?4
         WHERE id = ?1 AND ended_at IS NULL";
    WISH_WORKFLOW_ENDED =
        "UPDATE workflows SET cancel_wished = 1, updated_at = ?2 WHERE id = ?1 AND ended_at IS NULL";
}
