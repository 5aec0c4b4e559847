-- Tasks that someone must let go, and what there is of tasks in all.

-- It does not leave `blocked`, whatever it waits for beside, until someone lets it go.
ALTER TABLE tasks ADD COLUMN held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1));

-- How many tasks there are of each repository ('' is none) in each state. Kept by triggers in the transaction of the
-- change, so that asking costs the same however many tasks have ended, and no way of changing a task leaves it out.
CREATE TABLE task_counts (
    repo  TEXT NOT NULL,
    state TEXT NOT NULL,
    tasks INTEGER NOT NULL CHECK (tasks >= 0),
    PRIMARY KEY (repo, state)
) STRICT, WITHOUT ROWID;

INSERT INTO task_counts (repo, state, tasks)
SELECT coalesce(repo, ''), state, count(*) FROM tasks GROUP BY coalesce(repo, ''), state;

CREATE TRIGGER tasks_are_counted AFTER INSERT ON tasks
BEGIN
    INSERT INTO task_counts (repo, state, tasks) VALUES (coalesce(new.repo, ''), new.state, 1)
    ON CONFLICT (repo, state) DO UPDATE SET tasks = tasks + 1;
END;

CREATE TRIGGER tasks_are_counted_anew AFTER UPDATE OF state ON tasks WHEN new.state <> old.state
BEGIN
    UPDATE task_counts SET tasks = tasks - 1 WHERE repo = coalesce(old.repo, '') AND state = old.state;
    INSERT INTO task_counts (repo, state, tasks) VALUES (coalesce(new.repo, ''), new.state, 1)
    ON CONFLICT (repo, state) DO UPDATE SET tasks = tasks + 1;
END;

-- What the attempts whose reports were accepted have used, by repository likewise.
CREATE TABLE usage_totals (
    repo           TEXT PRIMARY KEY,
    attempts       INTEGER NOT NULL,
    cost_micro_usd INTEGER NOT NULL,
    input_tokens   INTEGER NOT NULL,
    output_tokens  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO usage_totals (repo, attempts, cost_micro_usd, input_tokens, output_tokens)
SELECT coalesce(t.repo, ''), count(*), sum(a.report ->> '$.usage.cost_micro_usd'),
       sum(a.report ->> '$.usage.input_tokens'), sum(a.report ->> '$.usage.output_tokens')
FROM attempts a JOIN tasks t ON t.id = a.task_id WHERE a.report IS NOT NULL GROUP BY coalesce(t.repo, '');

CREATE TRIGGER attempts_are_totalled AFTER UPDATE OF report ON attempts
    WHEN new.report IS NOT NULL AND old.report IS NULL
BEGIN
    INSERT INTO usage_totals (repo, attempts, cost_micro_usd, input_tokens, output_tokens)
    SELECT coalesce(t.repo, ''), 1, new.report ->> '$.usage.cost_micro_usd', new.report ->> '$.usage.input_tokens',
           new.report ->> '$.usage.output_tokens'
    FROM tasks t WHERE t.id = new.task_id
    ON CONFLICT (repo) DO UPDATE SET
        attempts = attempts + 1, cost_micro_usd = cost_micro_usd + excluded.cost_micro_usd,
        input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens;
END;
