-- Named statements for jobs.store.http.

-- name: insert_request
INSERT INTO requests (job_id, owner, surface, digest, fields, is_stored, created_at)
VALUES (:job_id, :owner, :surface, :digest, :fields, :is_stored, :at);

-- name: request
SELECT * FROM requests WHERE job_id = :job_id;

-- name: requests_by_digest
SELECT * FROM requests
WHERE digest = :digest AND owner = :owner AND created_at >= :since AND deleted_at IS NULL
ORDER BY created_at DESC;

-- name: requests_of
SELECT requests.* FROM requests JOIN jobs ON id = job_id
WHERE surface = :surface AND (:owner IS NULL OR owner = :owner) AND deleted_at IS NULL
      AND CASE WHEN :descending THEN seq < :after ELSE seq > :after END
ORDER BY CASE WHEN :descending THEN -seq ELSE seq END LIMIT :limit;

-- name: owned_jobs
SELECT jobs.* FROM requests JOIN jobs ON id = job_id
WHERE owner = :owner AND deleted_at IS NULL AND status = :status AND parent IS NULL
      AND (group_id IS NULL OR NOT :alone)
ORDER BY CASE :status WHEN 'RUNNING' THEN started_at END, finished_at DESC,
         CASE :status WHEN 'FINISHED' THEN -seq ELSE -priority END, seq LIMIT :limit;

-- name: seen_groups
-- As `groups`, of the jobs that are seen over HTTP.
SELECT group_id AS id, count(*) AS total,
       (SELECT first.id FROM jobs AS first LEFT JOIN requests AS came ON came.job_id = first.id
        WHERE first.group_id = jobs.group_id AND came.deleted_at IS NULL
              AND (:owner IS NULL OR came.owner = :owner) ORDER BY first.place LIMIT 1) AS first,
       $numbers_of_group
FROM jobs LEFT JOIN requests ON job_id = jobs.id
WHERE group_id IS NOT NULL AND deleted_at IS NULL AND (:owner IS NULL OR owner = :owner)
      AND (:group_id IS NULL OR group_id = :group_id)
GROUP BY group_id ORDER BY queued + running > 0 DESC, finished_at DESC, last_seq DESC LIMIT :limit;

-- name: seen_members
SELECT jobs.* FROM jobs LEFT JOIN requests ON job_id = id
WHERE group_id = :group_id AND deleted_at IS NULL AND (:owner IS NULL OR owner = :owner)
ORDER BY place LIMIT :limit;

-- name: seen_ids
SELECT job_id FROM requests WHERE owner = :owner AND deleted_at IS NULL;

-- name: count_owned_jobs
SELECT status, count(*) AS jobs FROM requests JOIN jobs ON id = job_id
WHERE owner = :owner AND deleted_at IS NULL AND parent IS NULL GROUP BY status;

-- name: deleted_requests
SELECT job_id FROM requests WHERE deleted_at IS NOT NULL;

-- name: order_of_queue
SELECT id, pool FROM jobs WHERE status = 'QUEUED' AND parent IS NULL
ORDER BY priority DESC, seq LIMIT :limit;

-- name: give_job
INSERT INTO requests (job_id, owner, surface, digest, created_at)
SELECT id, :owner, 'responses', '', created_at FROM jobs WHERE id = :job_id ON CONFLICT DO NOTHING;

-- name: set_request_fields
UPDATE requests SET fields = :fields WHERE job_id = :job_id;

-- name: request_delivered
UPDATE requests SET delivered_at = coalesce(delivered_at, :at) WHERE job_id = :job_id;

-- name: request_deleted
UPDATE requests SET deleted_at = coalesce(deleted_at, :at) WHERE job_id = :job_id;

-- name: adopt_job
-- A job of the command line that is deleted over HTTP has no row of its own.
INSERT INTO requests (job_id, owner, surface, digest, created_at)
SELECT id, '', 'responses', '', created_at FROM jobs WHERE id = :job_id ON CONFLICT DO NOTHING;

-- name: removable_requests
SELECT job_id FROM requests JOIN jobs ON id = job_id
WHERE status = 'FINISHED' AND parent IS NULL AND (deleted_at IS NOT NULL
      OR NOT is_stored AND (delivered_at IS NOT NULL OR finished_at < :before));

-- name: totals_of_parts
SELECT coalesce(sum(jobs.outcome = 'SUCCEEDED'), 0) AS succeeded,
       coalesce(sum(jobs.outcome IN ('FAILED', 'LOST')), 0) AS failed,
       coalesce(sum(json_extract(figures, '$.prompt_tokens')), 0) AS prompt_tokens,
       coalesce(sum(json_extract(figures, '$.cached_tokens')), 0) AS cached_tokens,
       coalesce(sum(json_extract(figures, '$.completion_tokens')), 0) AS completion_tokens,
       coalesce(sum(json_extract(figures, '$.thought_tokens')), 0) AS thought_tokens
FROM jobs LEFT JOIN attempts ON job_id = id AND number = attempt WHERE parent = :parent;

-- name: insert_progress_mark
INSERT INTO progress_marks (job_id, number, attempt, after_piece, at, data)
SELECT id, (SELECT coalesce(max(number), 0) + 1 FROM progress_marks WHERE job_id = :job_id),
       :attempt, :after_piece, :at, :data
FROM jobs WHERE id = :job_id AND status <> 'FINISHED' AND attempt = :attempt
      AND :after_piece = (SELECT coalesce(max(seq), 0) FROM pieces
                          WHERE pieces.job_id = :job_id AND pieces.attempt = :attempt)
      AND NOT EXISTS (SELECT 1 FROM progress_marks
                      WHERE progress_marks.job_id = :job_id AND at > :not_since);

-- name: progress_marks
SELECT * FROM progress_marks WHERE job_id = :job_id AND number > :after ORDER BY number;

-- name: is_request_deleted
SELECT deleted_at IS NOT NULL FROM requests WHERE job_id = :job_id;

-- name: jobs_ahead
SELECT count(*) FROM jobs WHERE pool = :pool AND status IN ('RUNNING', 'QUEUED')
       AND (status = 'RUNNING' OR priority > :priority OR priority = :priority AND seq < :seq);

-- name: heads
SELECT id, status, coalesce(outcome, '') AS outcome, attempt,
       (SELECT coalesce(max(seq), 0) FROM pieces
        WHERE job_id = jobs.id AND pieces.attempt = jobs.attempt) AS pieces,
       (SELECT coalesce(max(number), 0) FROM progress_marks WHERE job_id = jobs.id) AS marks
FROM jobs WHERE id IN (SELECT value FROM json_each(:ids));

-- name: insert_file
INSERT INTO files (id, owner, filename, purpose, bytes, created_at, expires_at)
VALUES (:id, :owner, :filename, :purpose, :bytes, :at, :expires_at);

-- name: file
SELECT * FROM files WHERE id = :id;

-- name: files_of
SELECT * FROM files
WHERE (:owner IS NULL OR owner = :owner) AND (:purpose IS NULL OR purpose = :purpose)
      AND (expires_at IS NULL OR expires_at > :now)
      AND CASE WHEN :descending THEN seq < :after ELSE seq > :after END
ORDER BY CASE WHEN :descending THEN -seq ELSE seq END LIMIT :limit;

-- name: bytes_of_files
SELECT coalesce(sum(bytes), 0) FROM files WHERE owner = :owner;

-- name: bytes_of_parts
SELECT coalesce(sum(upload_parts.bytes), 0) FROM upload_parts
JOIN uploads ON uploads.id = upload_id WHERE owner = :owner AND status = 'pending';

-- name: remove_file
DELETE FROM files WHERE id = :id;

-- name: expired_files
SELECT * FROM files WHERE expires_at <= :now;

-- name: stored_ids
SELECT id FROM files UNION ALL SELECT id FROM upload_parts;

-- name: insert_upload
INSERT INTO uploads (id, owner, filename, purpose, mime_type, bytes, file_seconds, created_at,
                     expires_at)
VALUES (:id, :owner, :filename, :purpose, :mime_type, :bytes, :file_seconds, :at, :expires_at);

-- name: upload
SELECT * FROM uploads WHERE id = :id;

-- name: end_upload
UPDATE uploads SET status = :status, file_id = :file_id WHERE id = :id AND status = 'pending';

-- name: expired_uploads
SELECT * FROM uploads WHERE status = 'pending' AND expires_at <= :now;

-- name: insert_upload_part
INSERT INTO upload_parts (id, upload_id, bytes, created_at)
SELECT :id, id, :bytes, :at FROM uploads WHERE id = :upload_id AND status = 'pending';

-- name: upload_parts
SELECT * FROM upload_parts WHERE upload_id = :upload_id ORDER BY created_at, id;

-- name: remove_upload_parts
DELETE FROM upload_parts WHERE upload_id = :upload_id;

-- name: insert_api_key
INSERT INTO api_keys (id, name, hash, is_admin, created_at, expires_at)
VALUES (:id, :name, :hash, :is_admin, :at, :expires_at);

-- name: api_keys
SELECT * FROM api_keys ORDER BY created_at, id;

-- name: remove_api_key
DELETE FROM api_keys WHERE name = :name;

-- name: jobs_with_events_since
SELECT DISTINCT job_id FROM events WHERE seq > :seq;

-- name: jobs_of_owners
SELECT owner, count(*) AS jobs FROM requests WHERE deleted_at IS NULL GROUP BY owner;

-- name: jobs_by_state
SELECT CASE WHEN parent IS NOT NULL THEN 'part' ELSE coalesce(surface, 'command') END AS surface,
       coalesce(outcome, status) AS state, count(*) AS jobs
FROM jobs LEFT JOIN requests ON job_id = id GROUP BY 1, 2 ORDER BY 1, 2;

-- name: submitted_ever
SELECT seq FROM sqlite_sequence WHERE name = 'jobs';

-- name: pool_loads
SELECT name AS pool, capacity, coalesce(sum(status = 'QUEUED'), 0) AS queued,
       coalesce(sum(status = 'RUNNING'), 0) AS running,
       coalesce(sum(CASE WHEN status = 'RUNNING' THEN weight END), 0) AS reserved
FROM pools LEFT JOIN jobs ON pool = name AND status <> 'FINISHED'
WHERE name NOT GLOB 'imported: *'
GROUP BY name ORDER BY name;

-- name: tokens_by_surface
-- A job of parts repeats the sums of its parts.
SELECT CASE WHEN parent IS NOT NULL THEN 'part' ELSE coalesce(surface, 'command') END AS surface,
       coalesce(sum(json_extract(figures, '$.prompt_tokens')), 0) AS prompt,
       coalesce(sum(json_extract(figures, '$.cached_tokens')), 0) AS cached,
       coalesce(sum(json_extract(figures, '$.completion_tokens')), 0) AS completion
FROM attempts JOIN jobs ON jobs.id = attempts.job_id LEFT JOIN requests ON requests.job_id = jobs.id
WHERE NOT EXISTS (SELECT 1 FROM jobs AS parts WHERE parts.parent = jobs.id)
      AND pool NOT GLOB 'imported: *'
GROUP BY 1 ORDER BY 1;

-- name: recent_times
SELECT max(created_at, coalesce(not_before, '')) AS due_at, jobs.started_at AS started_at,
       json_extract(figures, '$.first_token_seconds') AS first_token
FROM (SELECT * FROM jobs WHERE parent IS NULL AND pool NOT GLOB 'imported: *'
      ORDER BY seq DESC LIMIT :limit) AS jobs
LEFT JOIN attempts ON job_id = id AND number = attempt;
