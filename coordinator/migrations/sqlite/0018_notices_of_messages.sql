-- Which message a notice is about, so that an agent neither reads as new what it was told of, nor is
-- told of what it has read.
ALTER TABLE inbox ADD COLUMN message INTEGER REFERENCES messages (number);

CREATE INDEX inbox_of_message ON inbox (task_id, message) WHERE message IS NOT NULL;
