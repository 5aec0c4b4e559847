//! The worker: a git worktree and an agent process for each attempt, logs and heartbeats streamed back.
