-- When what a draining worker still runs is handed over to others. Null: it may take its time.
ALTER TABLE workers ADD COLUMN hand_over_at INTEGER
    CHECK (hand_over_at IS NULL OR draining_since IS NOT NULL);
