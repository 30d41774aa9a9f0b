-- Tries of SDKs that send no key: which job the first one made, and how often it was tried since.
-- `seq` is that of the job.

CREATE TABLE tries (
    seq INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    number INTEGER NOT NULL,
    expires_at REAL NOT NULL
) STRICT;

CREATE INDEX tries_of_request ON tries (fingerprint, number, seq);
