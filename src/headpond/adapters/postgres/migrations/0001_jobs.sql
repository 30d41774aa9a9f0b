-- Records and bodies.
--
-- jobs       the truth, a row a job; changed by compare-and-set on `version`. `record` is the whole
--            record as JSON; the other columns are those of its fields that a statement looks for.
--            The view `job_records` shows the fields as columns, for people.
-- requests   what goes to the engine; written once, so that changing a record never copies it
-- responses  what came back; likewise
--
-- `seq` of jobs, requests and responses is the same number. Times are Unix seconds, and given: no
-- statement asks the server for the time.
--
-- A claim changes nothing that an index holds, and each page keeps room for it: so it is written
-- into the page where the row lies, and no index hears of it (a "heap-only tuple"). That is why no
-- index has `state` in it, and the generated columns are there: they are null, and stay so, for jobs
-- that their index is not about.

CREATE TABLE jobs (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    version integer NOT NULL,
    team text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    accepted_at double precision NOT NULL,
    deadline double precision,
    finished_at double precision,
    batch text COLLATE "C",
    record json NOT NULL,
    unqueued_since double precision GENERATED ALWAYS AS (
        CASE WHEN state = 'accepted' THEN accepted_at END
    ) STORED,
    open_until double precision GENERATED ALWAYS AS (
        CASE WHEN finished_at IS NULL THEN deadline END
    ) STORED,
    died_at double precision GENERATED ALWAYS AS (
        CASE WHEN state = 'dead' THEN finished_at END
    ) STORED,
    line_state text COLLATE "C" GENERATED ALWAYS AS (
        CASE WHEN batch IS NOT NULL THEN state END
    ) STORED
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

CREATE VIEW job_records AS
SELECT
    id,
    state,
    team,
    record ->> 'feature' AS feature,
    record ->> 'pool' AS pool,
    record ->> 'priority' AS priority,
    model,
    record ->> 'task_type' AS task_type,
    record -> 'metadata' AS metadata,
    coalesce((record ->> 'attempts')::integer, 0) AS attempts,
    coalesce((record ->> 'lost_leases')::integer, 0) AS lost_leases,
    record ->> 'worker' AS worker,
    record ->> 'engine' AS engine,
    accepted_at,
    (record ->> 'queued_at')::double precision AS queued_at,
    (record ->> 'started_at')::double precision AS started_at,
    finished_at,
    deadline,
    coalesce((record #>> '{usage,prompt_tokens}')::integer, 0) AS prompt_tokens,
    coalesce((record #>> '{usage,completion_tokens}')::integer, 0) AS completion_tokens,
    (record ->> 'confidence')::double precision AS confidence,
    record #>> '{error,code}' AS error_code,
    record #>> '{error,message}' AS error_message,
    version
FROM jobs;

CREATE INDEX jobs_of_team ON jobs (team, seq);

CREATE INDEX jobs_not_queued ON jobs (unqueued_since, seq) WHERE unqueued_since IS NOT NULL;

CREATE INDEX jobs_with_deadline ON jobs (open_until, seq) WHERE open_until IS NOT NULL;

CREATE INDEX jobs_by_end ON jobs (finished_at, seq) WHERE finished_at IS NOT NULL;

CREATE INDEX jobs_dead ON jobs (died_at, seq) WHERE died_at IS NOT NULL;

CREATE INDEX jobs_of_batch ON jobs (batch, line_state) WHERE batch IS NOT NULL;

CREATE INDEX lines_of_batch ON jobs (batch, seq) WHERE batch IS NOT NULL;

CREATE TABLE requests (seq bigint PRIMARY KEY, body bytea NOT NULL);

CREATE TABLE responses (seq bigint PRIMARY KEY, body bytea NOT NULL);

CREATE TABLE idempotency_keys (
    team text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    job_id text COLLATE "C" NOT NULL,
    expires_at double precision NOT NULL,
    PRIMARY KEY (team, key)
);

CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

-- Tries of SDKs that send no key: which job the first one made, and how often it was tried since.
-- `seq` is that of the job.
CREATE TABLE tries (
    seq bigint PRIMARY KEY,
    fingerprint text COLLATE "C" NOT NULL,
    number integer NOT NULL,
    expires_at double precision NOT NULL
);

CREATE INDEX tries_of_request ON tries (fingerprint, number, seq);
