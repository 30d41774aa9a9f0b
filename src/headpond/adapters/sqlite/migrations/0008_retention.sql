-- How far each rule of retention has come among the jobs that ended, by `jobs_by_end`: whatever lies
-- before its mark needs no second look.

CREATE TABLE retention_marks (
    rule TEXT PRIMARY KEY,
    finished_at REAL NOT NULL,
    seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
