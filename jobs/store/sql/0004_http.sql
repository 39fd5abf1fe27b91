-- Schema 4. Only additions: workers of schema 3 go on writing while this arrives.

-- A job that came over HTTP (`ktjob serve`). Stored with the job, in one transaction.
CREATE TABLE requests (
    job_id       TEXT PRIMARY KEY,
    -- The id of the API key that it came with; '' without keys.
    owner        TEXT NOT NULL,
    surface      TEXT NOT NULL CHECK (surface IN ('chat', 'responses', 'batches', 'page')),
    -- SHA-256 of what was sent, to recognise the same request when it comes again.
    digest       TEXT NOT NULL,
    -- JSON: what the answers repeat of it (metadata, instructions), and its input.
    fields       TEXT NOT NULL DEFAULT '{}',
    -- 0: its text is deleted once it was delivered.
    is_stored    INTEGER NOT NULL DEFAULT 1 CHECK (is_stored IN (0, 1)),
    created_at   TEXT NOT NULL,
    delivered_at TEXT,
    -- No longer shown; its job is deleted when it has ended.
    deleted_at   TEXT
) WITHOUT ROWID;
CREATE INDEX requests_by_digest ON requests (digest);
CREATE INDEX requests_to_remove ON requests (job_id) WHERE deleted_at IS NOT NULL OR NOT is_stored;

-- What streams of a job said between its pieces of output, so that every stream says the same.
CREATE TABLE progress_marks (
    job_id      TEXT NOT NULL,
    number      INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    -- The piece of that attempt after which it was said; 0: before the first.
    after_piece INTEGER NOT NULL,
    at          TEXT NOT NULL,
    data        TEXT NOT NULL,
    PRIMARY KEY (job_id, number)
) WITHOUT ROWID;

-- Whoever deletes a job, a process of an older version too.
CREATE TRIGGER jobs_requests AFTER DELETE ON jobs
BEGIN
    DELETE FROM requests WHERE job_id = OLD.id;
    DELETE FROM progress_marks WHERE job_id = OLD.id;
END;

-- Files and uploads: their bytes are beside the database, by id.
CREATE TABLE files (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    owner      TEXT NOT NULL,
    filename   TEXT NOT NULL,
    purpose    TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT
);

CREATE TABLE uploads (
    id           TEXT PRIMARY KEY,
    owner        TEXT NOT NULL,
    filename     TEXT NOT NULL,
    purpose      TEXT NOT NULL,
    mime_type    TEXT NOT NULL,
    bytes        INTEGER NOT NULL,
    status       TEXT NOT NULL DEFAULT 'pending'
                 CHECK (status IN ('pending', 'completed', 'cancelled', 'expired')),
    file_id      TEXT,
    file_seconds INTEGER,
    created_at   TEXT NOT NULL,
    expires_at   TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE upload_parts (
    id         TEXT PRIMARY KEY,
    upload_id  TEXT NOT NULL REFERENCES uploads (id),
    bytes      INTEGER NOT NULL,
    created_at TEXT NOT NULL
) WITHOUT ROWID;

-- Who may use the gateway. A key itself is not here.
CREATE TABLE api_keys (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    hash       TEXT NOT NULL UNIQUE,
    is_admin   INTEGER NOT NULL DEFAULT 0 CHECK (is_admin IN (0, 1)),
    created_at TEXT NOT NULL,
    expires_at TEXT
) WITHOUT ROWID;
