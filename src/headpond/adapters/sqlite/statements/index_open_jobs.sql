CREATE INDEX IF NOT EXISTS jobs_open ON jobs (seq) WHERE state IN ('queued', 'running')
