-- Records, bodies and messages.
--
-- jobs       the truth, a row a job; changed by compare-and-set on `version`. `record` is the
--            whole record as JSON; the other columns are those of its fields that a statement
--            looks for. The view `job_records` shows the fields as columns, for people.
-- requests   what goes to the engine; written once, so that changing a record never copies it
-- responses  what came back; likewise
-- messages   what waits or is leased; a row is deleted when its message is acknowledged, so the
--            table stays as small as the backlog however many jobs have finished
--
-- `seq` of jobs, requests and responses is the same number. Times are Unix seconds.

CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    team TEXT NOT NULL,
    model TEXT NOT NULL,
    state TEXT NOT NULL,
    accepted_at REAL NOT NULL,
    deadline REAL,
    finished_at REAL,
    record TEXT NOT NULL
) STRICT;

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
    coalesce(record ->> 'attempts', 0) AS attempts,
    coalesce(record ->> 'lost_leases', 0) AS lost_leases,
    record ->> 'worker' AS worker,
    record ->> 'engine' AS engine,
    accepted_at,
    record ->> 'queued_at' AS queued_at,
    record ->> 'started_at' AS started_at,
    finished_at,
    deadline,
    coalesce(record ->> '$.usage.prompt_tokens', 0) AS prompt_tokens,
    coalesce(record ->> '$.usage.completion_tokens', 0) AS completion_tokens,
    record ->> 'confidence' AS confidence,
    record ->> '$.error.code' AS error_code,
    record ->> '$.error.message' AS error_message,
    version
FROM jobs;

CREATE INDEX jobs_of_team ON jobs (team, seq);

CREATE INDEX jobs_not_queued ON jobs (accepted_at) WHERE state = 'accepted';

CREATE INDEX jobs_with_deadline ON jobs (deadline)
WHERE deadline IS NOT NULL AND state IN ('accepted', 'queued', 'running');

CREATE TABLE requests (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;

CREATE TABLE responses (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;

CREATE TABLE idempotency_keys (
    team TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    job_id TEXT NOT NULL,
    expires_at REAL NOT NULL,
    PRIMARY KEY (team, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

-- A message is ready when `visible_at` has passed, leased when it has not and `token` is set,
-- delayed otherwise.
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY,
    lane TEXT NOT NULL,
    job_id TEXT NOT NULL,
    ticket TEXT NOT NULL,
    team TEXT NOT NULL,
    work_tokens INTEGER NOT NULL,
    sent_at REAL NOT NULL,
    visible_at REAL NOT NULL,
    token TEXT
) STRICT;

CREATE INDEX messages_of_lane ON messages (lane, visible_at);
