-- The audit log and API keys.
--
-- A trigger writes the audit row in the very transaction that ends a job, whoever ends it. It
-- copies the record, because records are removed after a while and the log is not.

CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    job_seq INTEGER NOT NULL,
    id TEXT NOT NULL,
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
    finished_at REAL NOT NULL,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    confidence REAL,
    error_code TEXT,
    error_message TEXT
) STRICT;

CREATE INDEX audit_by_end ON audit (finished_at);

CREATE TRIGGER audit_the_end AFTER UPDATE OF state ON jobs
WHEN
    new.state IN ('succeeded', 'failed', 'cancelled', 'expired', 'dead')
    AND old.state IN ('accepted', 'queued', 'running')
BEGIN
    INSERT INTO audit
    VALUES (
        NULL, new.seq, new.id, new.ticket, new.team, new.feature, new.pool, new.priority,
        new.model, new.task_type, new.metadata, new.work_tokens, new.max_attempts, new.deadline,
        new.accepted_at, new.version, new.state, new.attempts, new.lost_leases, new.worker,
        new.engine, new.queued_at, new.started_at, new.finished_at, new.prompt_tokens,
        new.completion_tokens, new.confidence, new.error_code, new.error_message
    );
END;

-- Jobs that ended before there was a log.
INSERT INTO audit
SELECT
    NULL, seq, id, ticket, team, feature, pool, priority, model, task_type, metadata, work_tokens,
    max_attempts, deadline, accepted_at, version, state, attempts, lost_leases, worker, engine,
    queued_at, started_at, finished_at, prompt_tokens, completion_tokens, confidence, error_code,
    error_message
FROM jobs
WHERE state IN ('succeeded', 'failed', 'cancelled', 'expired', 'dead')
ORDER BY finished_at;

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    team TEXT NOT NULL,
    feature TEXT,
    limits TEXT,
    created_at REAL NOT NULL,
    revoked_at REAL
) STRICT;
