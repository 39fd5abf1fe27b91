-- Schema 6. Only additions: workers of schema 5 go on writing while this arrives.

-- The jobs of one submit: the id of their group, and their place in it. NULL: a job alone.
ALTER TABLE jobs ADD COLUMN group_id TEXT;
ALTER TABLE jobs ADD COLUMN place INTEGER;
CREATE INDEX jobs_by_group ON jobs (group_id, place) WHERE group_id IS NOT NULL;

-- Of a telling about a whole group: due once all its jobs have ended. job_id is any of them.
ALTER TABLE tellings ADD COLUMN group_id TEXT;
CREATE INDEX tellings_by_group ON tellings (group_id) WHERE group_id IS NOT NULL;

DROP TRIGGER jobs_told;
CREATE TRIGGER jobs_told AFTER UPDATE OF status ON jobs
WHEN NEW.status = 'FINISHED' AND OLD.status <> 'FINISHED'
BEGIN
    UPDATE tellings SET due_at = NEW.finished_at WHERE job_id = NEW.id AND group_id IS NULL;
    UPDATE tellings SET due_at = NEW.finished_at
    WHERE group_id = NEW.group_id AND NOT EXISTS (
        SELECT 1 FROM jobs WHERE group_id = NEW.group_id AND status <> 'FINISHED');
END;
