-- Schema 2. Only additions: workers of schema 1 go on writing while this arrives.

ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;

-- How many jobs at once, whatever they weigh. NULL: as many as their weights allow.
ALTER TABLE pools ADD COLUMN slots INTEGER CHECK (slots > 0);
-- Whether jobs on one document profit from running one right after another.
ALTER TABLE pools ADD COLUMN affinity INTEGER NOT NULL DEFAULT 0 CHECK (affinity IN (0, 1));
-- Every job of schema 1 weighed 1, so that a capacity was a number of jobs.
UPDATE pools SET slots = capacity;

CREATE INDEX jobs_by_document ON jobs (document);
CREATE INDEX jobs_by_start ON jobs (pool, started_at);

-- What was learned about a pool's server, for the next job there.
CREATE TABLE notes (
    pool  TEXT NOT NULL,
    name  TEXT NOT NULL,
    value TEXT NOT NULL,
    at    TEXT NOT NULL,
    PRIMARY KEY (pool, name)
);
