-- Words of tasks: title, prompt, branch and issue. Of a long prompt its beginning, so that a submit of the largest
-- one there is costs about what any costs. The texts are not kept a second time.
CREATE VIRTUAL TABLE task_words USING fts5 (
    title, prompt, branch, issue, content = '', tokenize = 'unicode61 remove_diacritics 2');

INSERT INTO task_words (rowid, title, prompt, branch, issue)
SELECT t.number, t.spec ->> '$.title', substr(p.prompt, 1, 4096), t.spec ->> '$.branch', t.spec ->> '$.issue'
FROM tasks t JOIN prompts p ON p.task_number = t.number;

-- A task's prompt is written with it, in the same transaction; neither changes or goes.
CREATE TRIGGER tasks_are_searched AFTER INSERT ON prompts
BEGIN
    INSERT INTO task_words (rowid, title, prompt, branch, issue)
    SELECT t.number, t.spec ->> '$.title', substr(new.prompt, 1, 4096), t.spec ->> '$.branch', t.spec ->> '$.issue'
    FROM tasks t WHERE t.number = new.task_number;
END;
