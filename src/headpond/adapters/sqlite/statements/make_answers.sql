-- Answers by the fingerprints of requests (see ports/cache.py), in a file of their own.
--
-- `seq` grows with each that is put, so the lowest are the oldest and lie beside each other: to
-- drop them gives whole pages back. The answer comes last, so that nobody reads over it.

CREATE TABLE answers (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    expires_at REAL NOT NULL,
    answer BLOB NOT NULL
) STRICT
