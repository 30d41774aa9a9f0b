-- Files, batches, and which jobs are lines of a batch.
--
-- files    what is known of each file; its bytes lie beside the database, under the name `blob`
-- batches  changed by compare-and-set on `version`, as jobs are; `record` is the whole record as
--          JSON, the other columns are those of its fields that a statement looks for
--
-- Jobs that are no line of a batch are in neither of the new indexes.

CREATE TABLE files (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    blob TEXT NOT NULL,
    team TEXT NOT NULL,
    purpose TEXT NOT NULL,
    filename TEXT NOT NULL,
    size INTEGER NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL
) STRICT;

CREATE INDEX files_of_team ON files (team, created_at, id);

CREATE INDEX files_by_blob ON files (blob);

CREATE INDEX files_by_expiry ON files (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE batches (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    team TEXT NOT NULL,
    status TEXT NOT NULL,
    input_file TEXT NOT NULL,
    ended_at REAL,
    record TEXT NOT NULL
) STRICT;

CREATE INDEX batches_of_team ON batches (team, seq);

CREATE INDEX batches_open ON batches (seq) WHERE ended_at IS NULL;

ALTER TABLE jobs ADD COLUMN batch TEXT;

CREATE INDEX jobs_of_batch ON jobs (batch, state) WHERE batch IS NOT NULL;
