-- The worker a task to be tried again is better off at, since its work lies there, and until
-- when others leave it the task: from when it wakes on, so not while it is parked.
ALTER TABLE tasks ADD COLUMN prefer_worker BLOB REFERENCES workers (id)
    CHECK (prefer_worker IS NULL OR state IN ('queued', 'parked'));
ALTER TABLE tasks ADD COLUMN prefer_until INTEGER
    CHECK (prefer_until IS NULL OR (state = 'queued' AND prefer_worker IS NOT NULL));
