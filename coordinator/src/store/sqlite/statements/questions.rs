//! Statements about what agents ask.

macro_rules! question_columns {
    () => {
        "q.id, q.number, q.task_id, t.number AS task_number, t.spec ->> '$.title' AS task_title, q.attempt_id,
         q.state, q.text, q.options, q.default_answer, q.deadline_at, q.asked_at, q.settled_at, q.answer,
         q.answered_by
         FROM questions q CROSS JOIN tasks t ON t.id = q.task_id"
    };
}

statements! {
    ASKED_BEFORE = concat!("SELECT ", question_columns!(), " WHERE q.attempt_id = ?1 AND q.key = ?2");
    ADD_QUESTION =
        "INSERT INTO questions (id, task_id, attempt_id, key, asked_at, text, options, default_answer, deadline_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    SETTLE_QUESTION =
        "UPDATE questions SET state = ?2, settled_at = ?3, answer = ?4, answered_by = ?5
         WHERE id = ?1 AND state = 'open'";
    /// Of tasks that have ended, each with its time: whatever was open.
    WITHDRAW_QUESTIONS =
        "UPDATE questions SET state = 'withdrawn', settled_at = n.value ->> 1
         FROM json_each(?1) AS n
         WHERE questions.task_id = unhex(n.value ->> 0, '-') AND questions.state = 'open'";
    DUE_QUESTIONS = concat!(
        "SELECT ", question_columns!(),
        " WHERE q.state = 'open' AND q.deadline_at IS NOT NULL AND q.deadline_at <= ?1
         ORDER BY q.deadline_at, q.number LIMIT ?2"
    );
    QUESTION = concat!("SELECT ", question_columns!(), " WHERE q.id = ?1");
    QUESTION_BY_NUMBER = concat!("SELECT ", question_columns!(), " WHERE q.number = ?1");
    OPEN_QUESTIONS_OF =
        concat!("SELECT ", question_columns!(), " WHERE q.task_id = ?1 AND q.state = 'open' ORDER BY q.number");
    /// Oldest first, after a number.
    OPEN_QUESTIONS = concat!(
        "SELECT ", question_columns!(), " WHERE q.state = 'open' AND q.number > ?1 ORDER BY q.number LIMIT ?2"
    );
    OPEN_QUESTIONS_OF_PAGE = concat!(
        "SELECT ", question_columns!(),
        " WHERE q.task_id = ?3 AND q.state = 'open' AND q.number > ?1 ORDER BY q.number LIMIT ?2"
    );
    /// Newest first, before a number.
    ALL_QUESTIONS =
        concat!("SELECT ", question_columns!(), " WHERE q.number < ?1 ORDER BY q.number DESC LIMIT ?2");
    ALL_QUESTIONS_OF = concat!(
        "SELECT ", question_columns!(),
        " WHERE q.task_id = ?3 AND q.number < ?1 ORDER BY q.number DESC LIMIT ?2"
    );
}
