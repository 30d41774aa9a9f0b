-- The audit log and API keys.
--
-- The record of a job that ended is its audit entry: nothing else changes it, so it needs no copy, and
-- there cannot be two of it. Only the way to read it in the order of ends is added here.

CREATE INDEX jobs_by_end ON jobs (finished_at, seq) WHERE finished_at IS NOT NULL;

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
