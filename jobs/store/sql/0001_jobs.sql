-- Schema 1. Times are UTC text, ISO 8601. JSON is text.

CREATE TABLE documents (
    sha256     TEXT PRIMARY KEY CHECK (length(sha256) = 64),
    body       BLOB NOT NULL CHECK (typeof(body) = 'blob'),
    created_at TEXT NOT NULL
);

-- How much may run at once, in the unit of jobs.weight. Told by whoever knows the server.
CREATE TABLE pools (
    name     TEXT PRIMARY KEY,
    capacity INTEGER NOT NULL CHECK (capacity > 0)
);

CREATE TABLE jobs (
    seq                 INTEGER PRIMARY KEY AUTOINCREMENT,
    id                  TEXT NOT NULL UNIQUE CHECK (length(id) > 0),
    pool                TEXT NOT NULL REFERENCES pools (name),
    weight              INTEGER NOT NULL CHECK (weight > 0),
    title               TEXT NOT NULL,
    spec                TEXT NOT NULL,
    document            TEXT NOT NULL REFERENCES documents (sha256),
    status              TEXT NOT NULL DEFAULT 'QUEUED'
                        CHECK (status IN ('QUEUED', 'RUNNING', 'FINISHED')),
    outcome             TEXT CHECK (outcome IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'LOST')),
    cause               TEXT,
    message             TEXT,
    attempt             INTEGER NOT NULL DEFAULT 0,
    max_attempts        INTEGER NOT NULL DEFAULT 1 CHECK (max_attempts > 0),
    cancel_requested_at TEXT,
    created_at          TEXT NOT NULL,
    started_at          TEXT,
    finished_at         TEXT,
    CHECK ((status = 'FINISHED') = (outcome IS NOT NULL)),
    CHECK ((status = 'FINISHED') = (finished_at IS NOT NULL)),
    CHECK (status <> 'RUNNING' OR attempt > 0)
);
CREATE INDEX jobs_by_status ON jobs (status, seq);

-- jobs.model.TRANSITIONS, held by the database itself: no program and no person gets round it.
CREATE TRIGGER jobs_edges BEFORE UPDATE OF status ON jobs
WHEN OLD.status <> NEW.status AND NOT (
       (OLD.status = 'QUEUED'  AND NEW.status IN ('RUNNING', 'FINISHED'))
    OR (OLD.status = 'RUNNING' AND NEW.status IN ('FINISHED', 'QUEUED')))
BEGIN
    SELECT RAISE(ABORT, 'illegal transition');
END;

CREATE TRIGGER jobs_outcome_is_final BEFORE UPDATE OF outcome ON jobs
WHEN OLD.outcome IS NOT NULL AND OLD.outcome IS NOT NEW.outcome
BEGIN
    SELECT RAISE(ABORT, 'illegal transition');
END;

-- One try of a job. Its number fences every write that the try makes later.
CREATE TABLE attempts (
    job_id      TEXT NOT NULL REFERENCES jobs (id),
    number      INTEGER NOT NULL CHECK (number > 0),
    rid         TEXT NOT NULL UNIQUE CHECK (length(rid) = 32),
    boot_id     TEXT NOT NULL,
    pid         INTEGER NOT NULL,
    start_ticks INTEGER NOT NULL,
    started_at  TEXT NOT NULL,
    ended_at    TEXT,
    outcome     TEXT,
    cause       TEXT,
    message     TEXT,
    phase       TEXT NOT NULL,
    phase_at    TEXT NOT NULL,
    done        INTEGER,
    total       INTEGER,
    unit        TEXT,
    figures     TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (job_id, number)
);

-- Output in the order it arrived; a result is the pieces of its attempt, joined.
CREATE TABLE pieces (
    job_id  TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    channel TEXT NOT NULL,
    text    TEXT NOT NULL,
    PRIMARY KEY (job_id, attempt, seq),
    FOREIGN KEY (job_id, attempt) REFERENCES attempts (job_id, number)
) WITHOUT ROWID;

CREATE TABLE events (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id  TEXT NOT NULL REFERENCES jobs (id),
    attempt INTEGER NOT NULL,
    at      TEXT NOT NULL,
    kind    TEXT NOT NULL,
    data    TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX events_by_job ON events (job_id, seq);
