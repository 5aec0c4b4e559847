//! What tasks have learned.
//!
//! Reads take the filter as their first parameters: which scope rule (`named` or `for`), the
//! repository, the project, the kinds and the tags.

use super::{task_columns, task_joins};

macro_rules! memory_columns {
    () => {
        "m.number, m.id, m.at, m.kind, m.content, m.tags, m.repo, m.project, m.role, m.task_id, m.is_summary,
         t.number AS task_number"
    };
}

/// A comparison with null is neither true nor false: what a memory or the asker leaves open.
macro_rules! passes {
    () => {
        "CASE ?1
             WHEN 'named' THEN (?2 IS NULL OR m.repo = ?2) AND (?3 IS NULL OR m.project = ?3)
             ELSE (m.repo = ?2) IS NOT FALSE AND (m.project = ?3) IS NOT FALSE
                  AND ((m.repo = ?2) IS TRUE OR (m.project = ?3) IS TRUE
                       OR (m.repo IS NULL AND m.project IS NULL AND NOT m.is_summary))
         END
         AND (?4 = '[]' OR m.kind IN (SELECT k.value FROM json_each(?4) AS k))
         AND NOT EXISTS (SELECT 1 FROM json_each(?5) AS wanted
                         WHERE wanted.value NOT IN (SELECT has.value FROM json_each(m.tags) AS has))"
    };
}

statements! {
    MEMORY_OF_KEY = concat!(
        "SELECT ", memory_columns!(), " FROM memories m LEFT JOIN tasks t ON t.id = m.task_id
         WHERE m.idempotency_key = ?1"
    );
    MEMORY_OF_DIGEST = concat!(
        "SELECT ", memory_columns!(), " FROM memories m LEFT JOIN tasks t ON t.id = m.task_id WHERE m.digest = ?1"
    );
    MEMORIES_OF_TASK = concat!(
        "SELECT ", memory_columns!(), " FROM memories m LEFT JOIN tasks t ON t.id = m.task_id
         WHERE m.task_id = ?1 AND NOT m.is_summary ORDER BY m.number DESC LIMIT ?2"
    );
    /// What is there already, or would be a second summary, is passed over.
    ADD_MEMORIES =
        "INSERT INTO memories (id, at, kind, content, tags, repo, project, role, task_id, is_summary,
                               idempotency_key, digest)
         SELECT unhex(n.value ->> '$.id', '-'), ?2, n.value ->> '$.kind', n.value ->> '$.content',
                n.value -> '$.tags', n.value ->> '$.repo', n.value ->> '$.project', n.value ->> '$.role',
                unhex(n.value ->> '$.task', '-'), n.value ->> '$.is_summary', n.value ->> '$.key',
                unhex(n.value ->> '$.digest')
         FROM json_each(?1) AS n WHERE true ORDER BY n.key
         ON CONFLICT DO NOTHING
         RETURNING number, id";
    INDEX_MEMORIES =
        "INSERT INTO memory_index (rowid, content, parts, tags)
         SELECT n.value ->> '$.number', n.value ->> '$.content', n.value ->> '$.parts', n.value ->> '$.tags'
         FROM json_each(?1) AS n";
    MEMORIES = concat!(
        "SELECT ", memory_columns!(), " FROM memories m LEFT JOIN tasks t ON t.id = m.task_id WHERE ", passes!(),
        " AND m.number < ?6 AND (NOT ?7 OR m.task_id IS NOT NULL) ORDER BY m.number DESC LIMIT ?8"
    );
    /// The text of what is found is read once it is known to be among the best.
    SEARCH_MEMORIES = concat!(
        "SELECT ", memory_columns!(), ", f.score FROM (
             SELECT m.number, -bm25(memory_index, 1.0, 0.5, 0.5) AS score
             FROM memory_index CROSS JOIN memories m ON m.number = memory_index.rowid
             WHERE memory_index MATCH ?6 AND ", passes!(), "
             ORDER BY score DESC, m.number DESC LIMIT ?7) AS f
         CROSS JOIN memories m ON m.number = f.number
         LEFT JOIN tasks t ON t.id = m.task_id
         ORDER BY f.score DESC, m.number DESC"
    );
    VECTORS = concat!(
        "SELECT m.number, v.vector FROM memories m CROSS JOIN memory_vectors v ON v.number = m.number
         WHERE v.model = ?6 AND v.dimensions = ?7 AND ", passes!(), " ORDER BY m.number DESC LIMIT ?8"
    );
    MEMORIES_BY_NUMBER = concat!(
        "SELECT ", memory_columns!(), " FROM json_each(?1) AS wanted CROSS JOIN memories m ON m.number = wanted.value
         LEFT JOIN tasks t ON t.id = m.task_id ORDER BY wanted.key"
    );
    MEMORIES_TO_EMBED =
        "SELECT m.number, m.content FROM memories m
         WHERE m.number > ?1
           AND NOT EXISTS (SELECT 1 FROM memory_vectors v WHERE v.number = m.number AND v.model = ?2)
         ORDER BY m.number LIMIT ?3";
    KEEP_VECTORS =
        "INSERT INTO memory_vectors (number, model, dimensions, vector)
         SELECT n.value ->> '$.number', n.value ->> '$.model', n.value ->> '$.dimensions',
                unhex(n.value ->> '$.vector')
         FROM json_each(?1) AS n WHERE true
         ON CONFLICT (number) DO UPDATE SET
             model = excluded.model, dimensions = excluded.dimensions, vector = excluded.vector";
    SUMMARISED_UP_TO = "SELECT up_to FROM summarised";
    NOTE_SUMMARISED = "UPDATE summarised SET up_to = max(up_to, ?1)";
    ENDED_BETWEEN = concat!(
        "SELECT ", task_columns!(), " FROM events e CROSS JOIN tasks t ON t.id = e.task_id ", task_joins!(),
        " WHERE e.cursor > ?1 AND e.cursor <= ?2 AND e.state ->> '$.state' IN ('succeeded', 'failed')
           AND (t.repo IS NOT NULL OR t.spec ->> '$.project' IS NOT NULL)
         ORDER BY e.cursor"
    );
}
