-- Dead letters in the order of their deaths, and keys of operators, who may see them all.

CREATE INDEX jobs_dead ON jobs (finished_at, seq) WHERE state = 'dead';

ALTER TABLE api_keys ADD COLUMN role TEXT NOT NULL DEFAULT 'team';
