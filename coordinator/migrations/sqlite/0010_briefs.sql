-- What the coordinator adds to a task for its agent: the role's system prompt, and the template
-- filled in, as they were at the submit. Beside the prompt, so that lists do not load it.
ALTER TABLE prompts ADD COLUMN brief TEXT CHECK (json_valid(brief));
