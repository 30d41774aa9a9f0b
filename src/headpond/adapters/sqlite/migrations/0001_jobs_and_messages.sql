-- Records, bodies and messages.
--
-- jobs       the truth, a row a job; changed by compare-and-set on `version`
-- requests   what goes to the engine; written once, so that changing a record never copies it
-- responses  what came back; likewise
-- messages   what waits or is leased; a row is deleted when its message is acknowledged, so the
--            table stays as small as the backlog however many jobs have finished
--
-- `seq` of jobs, requests and responses is the same number. Times are Unix seconds.

CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    ticket TEXT NOT NULL,
    team TEXT NOT NULL,
    feature TEXT,
    pool TEXT NOT NULL,
    priority TEXT NOT NULL,
    model TEXT NOT NULL,
    task_type TEXT,
    metadata TEXT NOT NULL,
    work_tokens INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    deadline REAL,
    accepted_at REAL NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    lost_leases INTEGER NOT NULL,
    worker TEXT,
    engine TEXT,
    queued_at REAL,
    started_at REAL,
    finished_at REAL,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    confidence REAL,
    error_code TEXT,
    error_message TEXT
) STRICT;

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
