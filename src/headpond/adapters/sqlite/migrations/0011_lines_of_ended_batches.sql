-- Retention erases no line before its batch has ended, so when one has, its lines are looked at once
-- more: how far each rule has come among them, by `batches_by_end` and then `lines_of_batch`.

CREATE TABLE retention_line_marks (
    rule TEXT PRIMARY KEY,
    ended_at REAL NOT NULL,
    batch INTEGER NOT NULL,
    line INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX batches_by_end ON batches (ended_at) WHERE ended_at IS NOT NULL;

CREATE INDEX lines_of_batch ON jobs (batch) WHERE batch IS NOT NULL;
