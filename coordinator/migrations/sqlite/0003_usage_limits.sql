-- Attempts of a task that a usage limit of the agent's account ended: they cost the task
-- no try, and are counted so that they are bounded.
ALTER TABLE tasks ADD COLUMN usage_limits INTEGER NOT NULL DEFAULT 0 CHECK (usage_limits >= 0);
