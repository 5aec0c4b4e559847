//! Repositories, and what lies on the workers' disks.

macro_rules! worktree_values {
    () => {
        "(worker_id, path, source, repo, branch, kind, task_id, attempt_id, head, uncommitted, unsaved_commits,
          bytes, made_at, seen_at)
         SELECT ?1, n.value ->> '$.path', n.value ->> '$.source', n.value ->> '$.repo', n.value ->> '$.branch',
                n.value ->> '$.kind', unhex(n.value ->> '$.task', '-'), unhex(n.value ->> '$.attempt', '-'),
                n.value ->> '$.head', n.value ->> '$.uncommitted', n.value ->> '$.unsaved_commits',
                n.value ->> '$.bytes', n.value ->> '$.made_at', n.value ->> '$.seen_at'
         FROM json_each(?2) AS n"
    };
}

macro_rules! copy_values {
    () => {
        "(worker_id, source, repo, fetched_at, bytes, default_branch, head, error)
         SELECT ?1, n.value ->> '$.source', n.value ->> '$.repo', n.value ->> '$.fetched_at',
                n.value ->> '$.bytes', n.value ->> '$.default_branch', n.value ->> '$.head', n.value ->> '$.error'
         FROM json_each(?2) AS n"
    };
}

statements! {
    ADD_REPO =
        "INSERT INTO repos (name, repo, source, default_role, added_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    REPO_OF = "SELECT name, source, default_role, added_at FROM repos WHERE repo = ?1";
    REPO_NAMED = "SELECT name, source, default_role, added_at FROM repos WHERE name = ?1";
    REMOVE_REPO = "DELETE FROM repos WHERE name = ?1";
    REPOS = "SELECT name, source, default_role, added_at FROM repos ORDER BY name";
    FORGET_COPIES = "DELETE FROM repo_copies WHERE worker_id = ?1";
    FORGET_WORKTREES = "DELETE FROM worktrees WHERE worker_id = ?1";
    KEEP_COPIES = concat!("INSERT OR REPLACE INTO repo_copies ", copy_values!());
    KEEP_WORKTREES = concat!("INSERT OR REPLACE INTO worktrees ", worktree_values!());
    FORGET_COPY = "DELETE FROM repo_copies WHERE worker_id = ?1 AND source = ?2";
    FORGET_WORKTREE = "DELETE FROM worktrees WHERE worker_id = ?1 AND path = ?2";
    COPIES =
        "SELECT c.*, w.name AS worker_name FROM repo_copies c CROSS JOIN workers w ON w.id = c.worker_id
         ORDER BY c.repo, w.name, c.worker_id, c.source";
    COPIES_OF =
        "SELECT c.*, w.name AS worker_name FROM repo_copies c CROSS JOIN workers w ON w.id = c.worker_id
         WHERE c.repo = ?1 ORDER BY w.name, c.worker_id, c.source";
    WORKTREES =
        "SELECT d.*, w.name AS worker_name, t.number AS task_number, t.state AS task_state
         FROM worktrees d CROSS JOIN workers w ON w.id = d.worker_id LEFT JOIN tasks t ON t.id = d.task_id
         WHERE (?1 IS NULL OR d.repo = ?1) AND (?2 IS NULL OR d.worker_id = ?2) AND (?3 IS NULL OR d.branch = ?3)
         ORDER BY d.repo, d.branch, w.name, d.worker_id, d.path";
    LIVE_TASKS_OF_REPOS =
        "SELECT repo, count(*) FROM tasks
         WHERE state IN ('blocked', 'queued', 'leased', 'running', 'cancelling', 'parked', 'waiting')
           AND repo IS NOT NULL
         GROUP BY repo";
}
