-- Named statements for jobs.store. Each guards its own transition: no row touched means that another
-- process was first. Written for SQLite 3.31: no RETURNING.

-- name: insert_document
INSERT INTO documents (sha256, body, created_at) VALUES (:sha256, :body, :at)
ON CONFLICT (sha256) DO NOTHING;

-- name: set_capacity
INSERT INTO pools (name, capacity, slots, affinity) VALUES (:name, :capacity, :slots, :affinity)
ON CONFLICT (name) DO UPDATE SET capacity = excluded.capacity, slots = excluded.slots,
                                 affinity = excluded.affinity;

-- name: one_at_a_time
UPDATE pools SET slots = 1 WHERE name = :name;

-- name: insert_job
INSERT INTO jobs (id, pool, weight, title, spec, document, max_attempts, priority, label,
                  submit_key, parent, part, not_before, held_at, created_at)
VALUES (:id, :pool, :weight, :title, :spec, :document, :max_attempts, :priority, :label,
        :submit_key, :parent, :part, :not_before, :held_at, :at);

-- name: insert_ended_job
INSERT INTO jobs (id, pool, weight, title, spec, document, status, outcome, cause, message, attempt,
                  max_attempts, label, submit_key, created_at, started_at, finished_at)
VALUES (:id, :pool, 1, :title, :spec, :document, 'FINISHED', :outcome, :cause, :message, :attempt,
        :max_attempts, :label, :submit_key, :created_at, :started_at, :finished_at);

-- name: insert_ended_attempt
-- No process of any boot: it ran elsewhere.
INSERT INTO attempts (job_id, number, rid, boot_id, pid, start_ticks, started_at, ended_at, outcome,
                      cause, message, phase, phase_at, figures)
VALUES (:id, :number, :rid, '', 0, 0, :started_at, :ended_at, :outcome, :cause, :message, 'ended',
        :ended_at, :figures);

-- name: insert_ended_piece
INSERT INTO pieces (job_id, attempt, seq, channel, text)
VALUES (:id, :number, :seq, :channel, :text);

-- name: add_document
UPDATE jobs SET document = :document WHERE id = :id AND status = 'FINISHED';

-- name: has_document
SELECT EXISTS (SELECT 1 FROM documents WHERE sha256 = :sha256);

-- name: insert_prerequisite
INSERT INTO prerequisites (job_id, needs) VALUES (:job_id, :needs) ON CONFLICT DO NOTHING;

-- name: job_by_key
SELECT id FROM jobs WHERE submit_key = :key;

-- name: part_of
SELECT id FROM jobs WHERE parent = :parent AND part = :part;

-- name: parts
SELECT * FROM jobs WHERE parent = :parent ORDER BY seq;

-- name: part_named
SELECT * FROM jobs WHERE parent = :parent AND part = :part;

-- name: tally
SELECT count(*) AS total, coalesce(sum(status = 'QUEUED'), 0) AS queued,
       coalesce(sum(status = 'RUNNING'), 0) AS running,
       coalesce(sum(outcome IS 'SUCCEEDED'), 0) AS succeeded
FROM jobs WHERE parent = :parent;

-- name: work_of_parts
-- Of the parts of some jobs: their sizes, and how much of each is done. `seconds` and `timed` are of
-- those whose time says how fast they go. A part that was neither measured nor counted has the
-- rest of its weight, as wrong as that was for those that were measured.
WITH parts AS (
    SELECT parent, status, jobs.outcome AS outcome, json_extract(figures, :measured) AS measured,
           json_extract(spec, :counted) AS counted,
           weight - coalesce(json_extract(spec, :besides), 0) AS rough,
           CASE WHEN status = 'QUEUED' THEN 0.0
                WHEN status = 'FINISHED' OR phase = :read THEN 1.0
                WHEN phase = :reading AND attempts.total > 0
                THEN min(1.0, 1.0 * attempts.done / attempts.total)
                ELSE 0.0 END AS share,
           (julianday(coalesce(finished_at, :now)) - julianday(jobs.started_at)) * 86400 AS seconds
    FROM jobs LEFT JOIN attempts ON attempts.job_id = jobs.id AND number = jobs.attempt
    WHERE parent IN (SELECT value FROM json_each(:ids))
), ratios AS (
    SELECT parent, total(measured) / nullif(total(rough), 0) AS ratio
    FROM parts WHERE measured > 0 AND counted IS NULL GROUP BY parent
), each AS (
    SELECT parts.*, coalesce(measured, counted, rough * coalesce(ratio, 1)) AS size
    FROM parts LEFT JOIN ratios USING (parent)
)
SELECT parent AS id, count(*) AS total, sum(status = 'QUEUED') AS queued,
       sum(status = 'RUNNING') AS running, sum(outcome IS 'SUCCEEDED') AS succeeded,
       CAST(total(size) AS INTEGER) AS size, CAST(total(size * share) AS INTEGER) AS done,
       total(CASE WHEN outcome IS 'SUCCEEDED' OR share > 0 AND status = 'RUNNING'
             THEN seconds END) AS seconds,
       total(CASE WHEN outcome IS 'SUCCEEDED' OR share > 0 AND status = 'RUNNING'
             THEN size * share END) AS timed
FROM each GROUP BY parent;

-- name: open_parts
SELECT id FROM jobs WHERE parent = :parent AND status <> 'FINISHED' ORDER BY seq;

-- name: hand_on_owner
-- The new job belongs to the API key (ktjob serve) that the repeated one belongs to.
INSERT INTO requests (job_id, owner, surface, digest, created_at)
SELECT :new, owner, 'responses', '', (SELECT created_at FROM jobs WHERE id = :new)
FROM requests WHERE job_id = :old AND deleted_at IS NULL ON CONFLICT DO NOTHING;

-- name: hand_on_parts
UPDATE jobs SET parent = :new WHERE parent = :old AND outcome = 'SUCCEEDED';

-- name: hand_on_part
UPDATE jobs SET parent = :new WHERE id = :id;

-- name: parts_of_marked
-- Reads the jobs of one pool (jobs_by_start) and their parts (jobs_by_parent), without any document.
SELECT parts.id AS id, parts.parent AS parent, parts.part AS part, parts.document AS document,
       parts.status AS status, coalesce(parts.outcome, '') AS outcome
FROM jobs AS runs JOIN jobs AS parts ON parts.parent = runs.id
WHERE runs.pool = :pool AND runs.parent IS NULL AND instr(runs.spec, :mark) ORDER BY parts.seq;

-- name: set_aside_parts
-- What failed under the name and the document of an answer that comes back makes room for it.
UPDATE jobs SET parent = :job, part = NULL
WHERE parent = :earlier AND outcome <> 'SUCCEEDED' AND EXISTS (
    SELECT 1 FROM jobs AS answered
    WHERE answered.parent = :job AND answered.part = jobs.part
          AND answered.document = jobs.document AND answered.outcome = 'SUCCEEDED'
          AND answered.seq < (SELECT seq FROM jobs WHERE id = :job));

-- name: return_parts
-- A part that is older than its job was taken over from an earlier one.
UPDATE jobs SET parent = :earlier
WHERE parent = :job AND outcome = 'SUCCEEDED' AND seq < (SELECT seq FROM jobs WHERE id = :job)
      AND NOT EXISTS (SELECT 1 FROM jobs AS others
                      WHERE others.parent = :earlier AND others.part = jobs.part);

-- name: change_key
UPDATE jobs SET submit_key = :new WHERE submit_key = :old;

-- name: newest_marked
SELECT * FROM jobs WHERE pool = :pool AND parent IS NULL AND instr(spec, :mark)
ORDER BY seq DESC LIMIT 1;

-- name: insert_telling
INSERT INTO tellings (job_id, kind, target) VALUES (:job_id, :kind, :target);

-- name: due_tellings
SELECT seq, job_id, kind, target, tries, group_id FROM tellings
WHERE told_at IS NULL AND due_at IS NOT NULL AND (due_at <= :now OR due_at > :latest)
ORDER BY due_at, seq LIMIT :limit;

-- name: owes_tellings
SELECT EXISTS (SELECT 1 FROM tellings WHERE told_at IS NULL AND due_at IS NOT NULL);

-- name: begin_telling
UPDATE tellings SET tries = tries + 1, due_at = :due_at
WHERE seq = :seq AND tries = :tries AND told_at IS NULL AND due_at IS NOT NULL;

-- name: delayed_jobs_of_the_future
SELECT id FROM jobs WHERE status = 'QUEUED' AND not_before > :now AND created_at > :later;

-- name: set_not_before
UPDATE jobs SET not_before = :not_before WHERE id = :id AND status = 'QUEUED';

-- name: note_telling
INSERT INTO events (job_id, attempt, at, kind, data)
SELECT id, attempt, :at, :kind, :data FROM jobs WHERE id = :job_id;

-- name: end_telling
UPDATE tellings SET due_at = :due_at, told_at = :told_at, trouble = :trouble
WHERE seq = :seq AND tries = :tries;

-- name: trouble_of_telling
SELECT trouble FROM tellings WHERE seq = :seq;

-- name: postpone_telling
UPDATE tellings SET tries = tries - 1, due_at = :due_at, trouble = :trouble
WHERE seq = :seq AND tries = :tries;

-- name: tellings_of
SELECT kind, target FROM tellings WHERE job_id = :job_id AND group_id IS NULL ORDER BY seq;

-- name: prerequisites
SELECT needs FROM prerequisites WHERE job_id = :job_id ORDER BY needs;

-- name: doomed
SELECT waiting.id AS id, needed.id AS needs, coalesce(needed.outcome, '') AS outcome
FROM jobs AS waiting JOIN prerequisites ON job_id = waiting.id JOIN jobs AS needed ON needed.id = needs
WHERE waiting.status = 'QUEUED' AND needed.status = 'FINISHED' AND needed.outcome <> 'SUCCEEDED'
GROUP BY waiting.id ORDER BY waiting.seq;

-- name: fail_queued_job
UPDATE jobs SET status = 'FINISHED', outcome = 'FAILED', cause = :cause, message = :message,
                finished_at = :at
WHERE id = :id AND status = 'QUEUED';

-- name: insert_event
INSERT INTO events (job_id, attempt, at, kind, data) VALUES (:job_id, :attempt, :at, :kind, :data);

-- name: job_by_id
SELECT * FROM jobs WHERE id = :id;

-- name: last_job_seq
SELECT coalesce(max(seq), 0) FROM jobs;

-- name: jobs_of_group
SELECT * FROM jobs WHERE group_id = :group_id ORDER BY place, seq;

-- name: groups_by_prefix
SELECT group_id FROM jobs WHERE group_id >= :prefix AND group_id < :prefix || char(1114111)
GROUP BY group_id ORDER BY max(seq) DESC LIMIT 6;

-- name: numbers_of_group
-- What is counted of the jobs of a group, in each statement that reads groups.
sum(status = 'QUEUED') AS queued, sum(status = 'RUNNING') AS running,
       sum(outcome IS 'SUCCEEDED') AS succeeded, sum(outcome IS 'CANCELLED') AS cancelled,
       min(jobs.created_at) AS created_at, min(started_at) AS started_at,
       CASE WHEN count(*) = count(finished_at) THEN max(finished_at) END AS finished_at,
       total(CASE WHEN outcome = 'SUCCEEDED'
             THEN (julianday(finished_at) - julianday(started_at)) * 86400 END) AS seconds,
       coalesce(sum(CASE WHEN outcome = 'SUCCEEDED' THEN weight END), 0) AS weight,
       coalesce(sum(CASE WHEN status <> 'FINISHED' THEN weight END), 0) AS weight_left,
       total(CASE WHEN status = 'RUNNING'
             THEN (julianday(:now) - julianday(started_at)) * 86400 END) AS seconds_begun,
       max(seq) AS last_seq,
       sum(status <> 'FINISHED' AND held_at IS NOT NULL) AS held,
       min(CASE WHEN status <> 'FINISHED' THEN held_at END) AS held_at

-- name: groups
SELECT group_id AS id, count(*) AS total,
       (SELECT id FROM jobs AS first WHERE first.group_id = jobs.group_id
        ORDER BY place LIMIT 1) AS first,
       $numbers_of_group
FROM jobs WHERE group_id IS NOT NULL AND (:group_id IS NULL OR group_id = :group_id)
GROUP BY group_id ORDER BY queued + running > 0 DESC, last_seq DESC LIMIT :limit;

-- name: waiting_in_groups
SELECT group_id, pool, json_extract(spec, '$.server') AS server, count(*) AS jobs
FROM jobs WHERE status = 'QUEUED' AND held_at IS NULL
                AND group_id IN (SELECT value FROM json_each(:ids))
GROUP BY group_id, pool, server;

-- name: join_group
UPDATE jobs SET group_id = :group_id, place = :place WHERE id = :id;

-- name: take_place
UPDATE jobs SET group_id = (SELECT group_id FROM jobs WHERE id = :old),
                place = (SELECT place FROM jobs WHERE id = :old)
WHERE id = :new;

-- name: leave_group
UPDATE jobs SET group_id = NULL, place = NULL WHERE id = :id;

-- name: insert_group_telling
INSERT INTO tellings (job_id, kind, target, group_id)
VALUES (:job_id, :kind, :target, :group_id);

-- name: group_of_job
SELECT group_id FROM jobs WHERE id = :id;

-- name: withdraw_group_tellings
UPDATE tellings SET due_at = NULL
WHERE group_id = :group_id AND told_at IS NULL AND tries = 0;

-- name: renew_group_tellings
-- One for each that was begun, if none like it waits.
INSERT INTO tellings (job_id, kind, target, group_id)
SELECT DISTINCT :job_id, kind, target, group_id FROM tellings AS begun
WHERE group_id = :group_id AND (told_at IS NOT NULL OR tries > 0) AND NOT EXISTS (
    SELECT 1 FROM tellings AS other
    WHERE other.group_id = begun.group_id AND other.kind = begun.kind
      AND other.target = begun.target AND other.told_at IS NULL AND other.tries = 0);

-- name: pass_on_tellings
-- Another job of the group carries them.
UPDATE tellings SET job_id = (
    SELECT id FROM jobs WHERE jobs.group_id = tellings.group_id AND id <> :id LIMIT 1)
WHERE job_id = :id AND group_id IS NOT NULL AND EXISTS (
    SELECT 1 FROM jobs WHERE jobs.group_id = tellings.group_id AND id <> :id);

-- name: jobs_by_ids
SELECT * FROM jobs WHERE id IN (SELECT value FROM json_each(:ids));

-- name: jobs_by_prefix
SELECT * FROM jobs WHERE id >= :prefix AND id < :prefix || char(1114111) ORDER BY id LIMIT 6;

-- name: newest_jobs
SELECT * FROM jobs WHERE parent IS NULL ORDER BY seq DESC LIMIT :limit;

-- name: running_jobs
SELECT * FROM jobs
WHERE status = 'RUNNING' AND parent IS NULL AND (NOT :alone OR group_id IS NULL)
ORDER BY started_at, seq LIMIT :limit;

-- name: waiting_jobs
SELECT * FROM jobs
WHERE status = 'QUEUED' AND parent IS NULL AND (NOT :alone OR group_id IS NULL)
ORDER BY priority DESC, seq LIMIT :limit;

-- name: ended_jobs
SELECT * FROM jobs
WHERE status = 'FINISHED' AND parent IS NULL AND (NOT :alone OR group_id IS NULL)
      AND NOT EXISTS (SELECT 1 FROM jobs AS again WHERE again.submit_key = 'retry of ' || jobs.id)
ORDER BY finished_at DESC, seq DESC LIMIT :limit;

-- name: retried_as
SELECT id, (SELECT again.id FROM jobs AS again WHERE again.submit_key = 'retry of ' || jobs.id) AS again
FROM jobs WHERE id IN (SELECT value FROM json_each(:ids));

-- name: count_by_status
SELECT status, count(*) AS jobs FROM jobs GROUP BY status;

-- name: count_waiting_by_pool
SELECT pool, count(*) AS jobs FROM jobs WHERE status = 'QUEUED' GROUP BY pool;

-- name: count_beside_by_status
-- Parts, and jobs that newer ones retry: their keys begin with "retry of ", nine characters ("!"
-- follows the space).
SELECT status, count(*) AS jobs FROM jobs WHERE parent IS NOT NULL GROUP BY status
UNION ALL SELECT 'FINISHED', count(*) FROM jobs AS again
WHERE submit_key >= 'retry of ' AND submit_key < 'retry of!' AND EXISTS (
    SELECT 1 FROM jobs WHERE id = substr(again.submit_key, 10) AND parent IS NULL);

-- name: listed_jobs
SELECT * FROM jobs
WHERE seq < :before AND (:parts OR parent IS NULL)
      AND (:states = '[]' OR coalesce(outcome, status) IN (SELECT value FROM json_each(:states)))
      AND (:since IS NULL OR created_at >= :since) AND (:until IS NULL OR created_at < :until)
      AND (:label IS NULL OR label GLOB :label)
      AND (:group_id IS NULL OR group_id = :group_id) AND (:pool IS NULL OR instr(pool, :pool))
ORDER BY seq DESC LIMIT :limit;

-- name: count_listed
SELECT count(*) FROM jobs
WHERE (:parts OR parent IS NULL)
      AND (:states = '[]' OR coalesce(outcome, status) IN (SELECT value FROM json_each(:states)))
      AND (:since IS NULL OR created_at >= :since) AND (:until IS NULL OR created_at < :until)
      AND (:label IS NULL OR label GLOB :label)
      AND (:group_id IS NULL OR group_id = :group_id) AND (:pool IS NULL OR instr(pool, :pool));

-- name: current_attempts
SELECT attempts.* FROM jobs JOIN attempts ON attempts.job_id = jobs.id AND number = jobs.attempt
WHERE jobs.id IN (SELECT value FROM json_each(:ids));

-- name: needs_of
SELECT job_id, needs, needed.id IS NULL OR needed.outcome IS 'SUCCEEDED' AS is_met
FROM prerequisites LEFT JOIN jobs AS needed ON needed.id = needs
WHERE job_id IN (SELECT value FROM json_each(:ids)) ORDER BY job_id, needs;

-- name: texts
-- SQLite keeps a subquery's order for group_concat (select.c, "omit-subquery ORDER BY", rule 6).
SELECT job_id, (SELECT group_concat(text, '') FROM (
    SELECT text FROM pieces WHERE job_id = attempts.job_id AND attempt = number
                                  AND channel = :channel ORDER BY seq)) AS text
FROM attempts WHERE job_id IN (SELECT value FROM json_each(:ids)) ORDER BY job_id, number;

-- name: next_in_line
SELECT jobs.* FROM jobs JOIN (
    SELECT seq, row_number() OVER (
        PARTITION BY pool ORDER BY priority DESC, document IS NOT warm, seq) AS place,
        row_number() OVER (PARTITION BY pool ORDER BY priority DESC, seq) AS plain
    FROM jobs JOIN (
        SELECT name AS pool,
               (SELECT document FROM jobs WHERE jobs.pool = name AND started_at IS NOT NULL
                ORDER BY started_at DESC, seq DESC LIMIT 1) AS warm
        FROM pools) USING (pool)
    WHERE status = 'QUEUED' AND coalesce(not_before, '') <= :now AND NOT EXISTS (
        SELECT 1 FROM prerequisites JOIN jobs AS needed ON needed.id = needs
        WHERE job_id = jobs.id AND needed.outcome IS NOT 'SUCCEEDED')
      -- As the trigger jobs_blocked has it. Specs of a long line are only read if anything is paused.
      AND held_at IS NULL AND NOT (EXISTS (SELECT 1 FROM pauses) AND EXISTS (
          SELECT 1 FROM pauses WHERE pauses.pool IN (
              '', jobs.pool, CASE WHEN json_valid(spec) THEN json_extract(spec, '$.server') END)))
) AS line USING (seq)
-- The oldest job is always included, however many others have the pool's warm document.
WHERE min(line.place, line.plain) <= :ahead ORDER BY priority DESC, seq;

-- name: jobs_in_status
SELECT * FROM jobs WHERE status = :status ORDER BY seq;

-- name: has_status
SELECT EXISTS (SELECT 1 FROM jobs WHERE status = :status);

-- name: open_weight
SELECT coalesce(sum(weight), 0) FROM jobs
WHERE pool = :pool AND status IN ('QUEUED', 'RUNNING');

-- name: capacities
SELECT name, capacity, slots, affinity FROM pools;

-- name: warmth
SELECT name,
       (SELECT document FROM jobs WHERE pool = name AND started_at IS NOT NULL
        ORDER BY started_at DESC, seq DESC LIMIT 1) AS document,
       (SELECT spec FROM jobs WHERE pool = name AND started_at IS NOT NULL
        ORDER BY started_at DESC, seq DESC LIMIT 1) AS spec,
       (SELECT count(*) FROM jobs WHERE pool = name AND started_at IS NOT NULL AND seq > (
            SELECT seq FROM jobs WHERE pool = name AND status = 'QUEUED' AND held_at IS NULL
                                       AND coalesce(not_before, '') <= :now AND NOT EXISTS (
                SELECT 1 FROM prerequisites JOIN jobs AS needed ON needed.id = needs
                WHERE job_id = jobs.id AND needed.outcome IS NOT 'SUCCEEDED')
            ORDER BY priority DESC, seq LIMIT 1)) AS passes
FROM pools WHERE affinity;

-- name: note
SELECT value FROM notes WHERE pool = :pool AND name = :name;

-- name: notes_of
SELECT name FROM notes WHERE pool = :pool AND substr(name, 1, length(:prefix)) = :prefix
ORDER BY at DESC, name;

-- name: set_note
INSERT INTO notes (pool, name, value, at) VALUES (:pool, :name, :value, :at)
ON CONFLICT (pool, name) DO UPDATE SET value = excluded.value, at = excluded.at;

-- name: attempt
SELECT * FROM attempts WHERE job_id = :job_id AND number = :number;

-- name: attempts
SELECT * FROM attempts WHERE job_id = :job_id ORDER BY number;

-- name: attempts_in_pool
-- Of the jobs that run, and of those that were started last: SQLite finds both by an index.
-- `is_known`: whether a job came with the same API key as the one that asks, or asks is no job.
SELECT attempts.*, :asks IS NULL OR coalesce((
    SELECT owner FROM requests, jobs AS own LEFT JOIN jobs AS whole ON whole.id = own.parent
    WHERE own.id = attempts.job_id AND requests.job_id IN (own.id, own.parent, whole.parent)), '')
  = coalesce((
    SELECT owner FROM requests, jobs AS own LEFT JOIN jobs AS whole ON whole.id = own.parent
    WHERE own.id = :asks AND requests.job_id IN (own.id, own.parent, whole.parent)), '') AS is_known
FROM attempts WHERE job_id IN (
    SELECT id FROM jobs WHERE status = 'RUNNING' AND pool = :pool
    UNION SELECT id FROM (SELECT id FROM jobs WHERE pool = :pool AND started_at IS NOT NULL
                          ORDER BY started_at DESC LIMIT :most))
AND (ended_at IS NULL OR ended_at >= :since AND outcome IS NOT 'SUCCEEDED')
ORDER BY started_at, job_id, number;

-- name: has_output
SELECT EXISTS (SELECT 1 FROM pieces WHERE job_id = :job_id);

-- name: events
SELECT * FROM events WHERE job_id = :job_id ORDER BY seq;

-- name: events_after
SELECT * FROM events WHERE seq > :after ORDER BY seq LIMIT :limit;

-- name: last_event
SELECT coalesce(max(seq), 0) FROM events;

-- name: events_of_after
SELECT * FROM events WHERE job_id = :job_id AND seq > :after ORDER BY seq LIMIT :limit;

-- name: document
SELECT body FROM documents WHERE sha256 = :sha256;

-- name: pieces
SELECT seq, channel, text FROM pieces
WHERE job_id = :job_id AND attempt = :number AND seq > :after ORDER BY seq;

-- name: claim_job
UPDATE jobs SET status = 'RUNNING', attempt = attempt + 1, cause = NULL, message = NULL,
                started_at = coalesce(started_at, :at)
WHERE id = :id AND status = 'QUEUED' AND cancel_requested_at IS NULL
      -- The runner admits jobs; this check covers a late claim by a worker of a killed runner.
      AND (weight + (SELECT total(weight) FROM jobs AS others
                     WHERE others.pool = jobs.pool AND others.status = 'RUNNING')
               <= (SELECT capacity FROM pools WHERE name = pool)
           AND (SELECT count(*) FROM jobs AS others
                WHERE others.pool = jobs.pool AND others.status = 'RUNNING')
               < (SELECT coalesce(slots, 1 << 62) FROM pools WHERE name = pool)
           OR NOT EXISTS (SELECT 1 FROM jobs AS others
                          WHERE others.pool = jobs.pool AND others.status = 'RUNNING'));

-- name: insert_attempt
INSERT INTO attempts (job_id, number, rid, boot_id, pid, start_ticks, started_at, phase, phase_at)
SELECT id, attempt, :rid, :boot_id, :pid, :start_ticks, :at, :phase, :at
FROM jobs WHERE id = :id AND status = 'RUNNING';

-- name: finish_job
UPDATE jobs SET status = 'FINISHED', outcome = :outcome, cause = :cause, message = :message,
                finished_at = :at
WHERE id = :id AND status = 'RUNNING' AND attempt = :number;

-- name: requeue_job
UPDATE jobs SET status = 'QUEUED', cause = :cause, message = :message
WHERE id = :id AND status = 'RUNNING' AND attempt = :number AND attempt < max_attempts
      AND cancel_requested_at IS NULL;

-- name: finish_attempt
UPDATE attempts SET ended_at = :at, outcome = :outcome, cause = :cause, message = :message
WHERE job_id = :id AND number = :number AND ended_at IS NULL;

-- name: cancel_queued_job
UPDATE jobs SET status = 'FINISHED', outcome = 'CANCELLED', cause = 'cancelled',
                message = :message, cancel_requested_at = :at, finished_at = :at
WHERE id = :id AND status = 'QUEUED';

-- name: wish_cancel
UPDATE jobs SET cancel_requested_at = :at
WHERE id = :id AND status = 'RUNNING' AND cancel_requested_at IS NULL;

-- name: is_cancel_requested
SELECT cancel_requested_at IS NOT NULL FROM jobs WHERE id = :id;

-- name: enter_phase
UPDATE attempts SET phase = :phase, phase_at = :at, done = NULL, total = NULL, unit = NULL
WHERE job_id = :job_id AND number = :number AND ended_at IS NULL;

-- name: set_progress
UPDATE attempts SET done = :done, total = :total, unit = :unit
WHERE job_id = :job_id AND number = :number AND ended_at IS NULL;

-- name: set_figures
UPDATE attempts SET figures = :figures
WHERE job_id = :job_id AND number = :number AND ended_at IS NULL;

-- name: finished_before
-- An imported job is as old as its import.
SELECT * FROM jobs WHERE status = 'FINISHED' AND finished_at < :before AND parent IS NULL
      AND NOT EXISTS (SELECT 1 FROM events
                      WHERE job_id = jobs.id AND kind = 'imported' AND at >= :before)
ORDER BY finished_at, seq;

-- name: how_many
SELECT count(*) AS jobs, coalesce(sum(status = 'FINISHED'), 0) AS finished,
       min(CASE WHEN status = 'FINISHED' THEN finished_at END) AS oldest FROM jobs
WHERE parent IS NULL;

-- name: sizes
SELECT id, parent, document, status,
       (SELECT length(body) FROM documents WHERE sha256 = document) AS document_size,
       length(spec) + 1000 + (SELECT coalesce(sum(length(CAST(text AS BLOB)) + 50), 0) FROM pieces
                              WHERE job_id = id) AS own_size
FROM jobs ORDER BY finished_at, seq;

-- name: remove_pieces
DELETE FROM pieces WHERE job_id = :id;

-- name: remove_events
DELETE FROM events WHERE job_id = :id;

-- name: remove_attempts
DELETE FROM attempts WHERE job_id = :id;

-- name: remove_prerequisites
DELETE FROM prerequisites WHERE job_id = :id;

-- name: remove_tellings
DELETE FROM tellings WHERE job_id = :id;

-- name: remove_job
DELETE FROM jobs WHERE id = :id AND status = 'FINISHED';

-- name: amend_job
UPDATE jobs SET spec = :spec, document = :document
WHERE id = :id AND status = 'RUNNING' AND attempt = :number;

-- name: move_job
-- Of an attempt that has sent nothing. As the claim, it needs room, and it passes no older job.
UPDATE jobs SET pool = :pool, spec = :spec
WHERE id = :id AND status = 'RUNNING' AND attempt = :number AND cancel_requested_at IS NULL
      AND spec = :spec_before
      AND NOT EXISTS (SELECT 1 FROM pauses WHERE pauses.pool IN ('', :pool))
      AND NOT EXISTS (
          SELECT 1 FROM jobs AS others
          WHERE others.pool = :pool AND others.status = 'QUEUED' AND others.held_at IS NULL
                AND coalesce(others.not_before, '') <= :at
                AND NOT EXISTS (SELECT 1 FROM prerequisites WHERE job_id = others.id)
                AND (others.priority > jobs.priority
                     OR others.priority = jobs.priority AND others.seq < jobs.seq))
      AND (weight + (SELECT total(weight) FROM jobs AS others
                     WHERE others.pool = :pool AND others.status = 'RUNNING')
               <= (SELECT capacity FROM pools WHERE name = :pool)
           AND (SELECT count(*) FROM jobs AS others
                WHERE others.pool = :pool AND others.status = 'RUNNING')
               < (SELECT coalesce(slots, 1 << 62) FROM pools WHERE name = :pool)
           OR NOT EXISTS (SELECT 1 FROM jobs AS others
                          WHERE others.pool = :pool AND others.status = 'RUNNING'));

-- name: only_others_wait
-- Whether jobs wait in other pools, and none in this one.
SELECT EXISTS (SELECT 1 FROM jobs WHERE status = 'QUEUED' AND pool <> :pool)
       AND NOT EXISTS (SELECT 1 FROM jobs
                       WHERE status = 'QUEUED' AND pool = :pool AND held_at IS NULL);

-- name: has_succeeded
-- Of those that were started last: SQLite finds them by an index.
SELECT EXISTS (
    SELECT 1 FROM (SELECT outcome, finished_at FROM jobs
                   WHERE pool = :pool AND started_at IS NOT NULL
                   ORDER BY started_at DESC LIMIT :most)
    WHERE outcome = 'SUCCEEDED' AND finished_at >= :since);

-- name: hand_over_job
UPDATE jobs SET pool = :pool, spec = :spec
WHERE id = :id AND status = 'QUEUED' AND attempt = 0 AND pool = :pool_before AND spec = :spec_before
      AND NOT EXISTS (SELECT 1 FROM pauses WHERE pauses.pool IN ('', :pool));

-- name: remove_document_if_unused
DELETE FROM documents
WHERE sha256 = :document AND NOT EXISTS (SELECT 1 FROM jobs WHERE document = :document);

-- name: insert_piece
INSERT INTO pieces (job_id, attempt, seq, channel, text)
SELECT job_id, number, :seq, :channel, :text FROM attempts
WHERE job_id = :job_id AND number = :number AND ended_at IS NULL;

-- name: pauses
SELECT pool, at FROM pauses ORDER BY pool;

-- name: pauses_of_job
SELECT pauses.pool AS pool, pauses.at AS at FROM jobs JOIN pauses ON pauses.pool IN (
    '', jobs.pool, CASE WHEN json_valid(spec) THEN json_extract(spec, '$.server') END)
WHERE jobs.id = :id ORDER BY pauses.pool;

-- name: pause
INSERT INTO pauses (pool, at) VALUES (:pool, :at) ON CONFLICT (pool) DO NOTHING;

-- name: resume
DELETE FROM pauses WHERE pool = :pool;

-- name: note_waiting
-- For each job that a pause of this pool concerns; parts have their whole's history.
INSERT INTO events (job_id, attempt, at, kind, data)
SELECT id, attempt, :at, :kind, :data FROM jobs
WHERE status = 'QUEUED' AND parent IS NULL AND :pool IN (
    '', pool, CASE WHEN json_valid(spec) THEN json_extract(spec, '$.server') END)
ORDER BY seq;

-- name: hold_family
UPDATE jobs SET held_at = :at
WHERE held_at IS NULL AND status <> 'FINISHED' AND id IN (
    WITH RECURSIVE family (id) AS (
        SELECT :id UNION SELECT jobs.id FROM jobs JOIN family ON jobs.parent = family.id)
    SELECT id FROM family);

-- name: release_family
UPDATE jobs SET held_at = NULL
WHERE held_at IS NOT NULL AND id IN (
    WITH RECURSIVE family (id) AS (
        SELECT :id UNION SELECT jobs.id FROM jobs JOIN family ON jobs.parent = family.id)
    SELECT id FROM family);

-- name: set_priority
UPDATE jobs SET priority = :priority
WHERE status <> 'FINISHED' AND id IN (
    WITH RECURSIVE family (id) AS (
        SELECT :id UNION SELECT jobs.id FROM jobs JOIN family ON jobs.parent = family.id)
    SELECT id FROM family);

-- name: highest_priority
SELECT coalesce(max(priority), 0) FROM jobs WHERE status = 'QUEUED' AND id <> :id AND parent IS NOT :id;

-- name: replace_queued_job
UPDATE jobs SET pool = :pool, weight = :weight, spec = :spec, max_attempts = :max_attempts,
                label = :label, not_before = :not_before
WHERE id = :id AND status = 'QUEUED' AND attempt = 0 AND parent IS NULL
      AND spec = :spec_before AND label IS :label_before AND not_before IS :not_before_before;

-- name: is_open_for
-- Whether an attempt that has sent nothing yet may send.
SELECT NOT EXISTS (SELECT 1 FROM pauses WHERE pauses.pool IN (
           '', jobs.pool, CASE WHEN json_valid(spec) THEN json_extract(spec, '$.server') END))
FROM jobs WHERE id = :id;
