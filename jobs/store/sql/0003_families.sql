-- Schema 3. Only additions: workers of schema 2 go on writing while this arrives.

-- A word of the submitter's own.
ALTER TABLE jobs ADD COLUMN label TEXT;
-- What is submitted twice under one key is one job: its submitter did not hear that it was stored.
ALTER TABLE jobs ADD COLUMN submit_key TEXT;
CREATE UNIQUE INDEX jobs_by_submit_key ON jobs (submit_key) WHERE submit_key IS NOT NULL;
-- A part of another job, under a name of its own in it: each part is stored once.
ALTER TABLE jobs ADD COLUMN parent TEXT REFERENCES jobs (id);
ALTER TABLE jobs ADD COLUMN part TEXT;
CREATE UNIQUE INDEX jobs_by_parent ON jobs (parent, part) WHERE parent IS NOT NULL;
-- UTC; not admitted earlier.
ALTER TABLE jobs ADD COLUMN not_before TEXT;

-- Not admitted before these jobs have succeeded. One that was forgotten meanwhile counts as such.
CREATE TABLE prerequisites (
    job_id TEXT NOT NULL REFERENCES jobs (id),
    needs  TEXT NOT NULL CHECK (needs <> job_id),
    PRIMARY KEY (job_id, needs)
) WITHOUT ROWID;

-- Whom to tell how a job ended; due once due_at is set, over once told_at is.
CREATE TABLE tellings (
    seq     INTEGER PRIMARY KEY,
    job_id  TEXT NOT NULL REFERENCES jobs (id),
    kind    TEXT NOT NULL,
    target  TEXT NOT NULL,
    tries   INTEGER NOT NULL DEFAULT 0,
    due_at  TEXT,
    told_at TEXT,
    trouble TEXT
);
CREATE INDEX tellings_by_job ON tellings (job_id);
CREATE INDEX tellings_due ON tellings (due_at) WHERE told_at IS NULL AND due_at IS NOT NULL;
-- Whoever ends a job, a worker of an older version too, makes its tellings due in that transaction.
CREATE TRIGGER jobs_told AFTER UPDATE OF status ON jobs
WHEN NEW.status = 'FINISHED' AND OLD.status <> 'FINISHED'
BEGIN
    UPDATE tellings SET due_at = NEW.finished_at WHERE job_id = NEW.id;
END;
