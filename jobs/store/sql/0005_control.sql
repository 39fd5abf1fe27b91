-- Schema 5. Only additions: workers of schema 4 go on writing while this arrives.

-- Since when the user keeps the job from starting. A part has that of its whole.
ALTER TABLE jobs ADD COLUMN held_at TEXT;

-- What the user paused: a pool; '' is the whole queue.
CREATE TABLE pauses (
    pool TEXT PRIMARY KEY,
    at   TEXT NOT NULL
) WITHOUT ROWID;

-- Whoever claims a job, a worker of an older version too: it finds the row unchanged, as if another
-- worker had been first. The jobs of a conductor's pool are paused with the server of their spec.
CREATE TRIGGER jobs_blocked BEFORE UPDATE OF status ON jobs
WHEN OLD.status = 'QUEUED' AND NEW.status = 'RUNNING' AND (
       OLD.held_at IS NOT NULL
    OR EXISTS (SELECT 1 FROM pauses WHERE pauses.pool IN (
           '', OLD.pool,
           CASE WHEN json_valid(OLD.spec) THEN json_extract(OLD.spec, '$.server') END)))
BEGIN
    SELECT RAISE(IGNORE);
END;
