//! Sums over all tasks, or over those of the repository `?1`.

statements! {
    TASKS_BY_STATE =
        "SELECT state, sum(tasks) AS tasks FROM task_counts
         WHERE (?1 IS NULL OR repo = ?1) AND tasks > 0 GROUP BY state ORDER BY state";
    USAGE =
        "SELECT coalesce(sum(attempts), 0), coalesce(sum(cost_micro_usd), 0), coalesce(sum(input_tokens), 0),
                coalesce(sum(output_tokens), 0)
         FROM usage_totals WHERE ?1 IS NULL OR repo = ?1";
    OPEN_QUESTIONS =
        "SELECT count(*) FROM questions q INDEXED BY questions_open WHERE q.state = 'open'
           AND (?1 IS NULL OR ?1 IS (SELECT t.repo FROM tasks t WHERE t.id = q.task_id))";
}
