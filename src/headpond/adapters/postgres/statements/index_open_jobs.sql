-- Its condition is one that a claim does not change: see migrations/0001.
CREATE INDEX IF NOT EXISTS jobs_open ON jobs (seq) WHERE finished_at IS NULL
