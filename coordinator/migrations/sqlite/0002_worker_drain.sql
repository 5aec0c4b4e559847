-- Draining: a worker that someone asked to take no new work, and since when.
-- Null: it takes what it is offered. It stands beside the session, so that
-- neither a restart of the worker nor one of the coordinator ends it.
ALTER TABLE workers ADD COLUMN draining_since INTEGER;
