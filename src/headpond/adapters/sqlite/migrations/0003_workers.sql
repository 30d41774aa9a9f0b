-- The latest report of each worker, as JSON; the other columns are those of its fields that a
-- statement looks for.

CREATE TABLE workers (
    name TEXT PRIMARY KEY,
    pool TEXT NOT NULL,
    reported_at REAL NOT NULL,
    report TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX workers_of_pool ON workers (pool, reported_at);
