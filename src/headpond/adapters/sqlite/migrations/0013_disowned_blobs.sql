-- Names of blobs whose bytes were removed because no file named them: none may name them any more.
-- Names are used once, so a row stays for ever; only writers that died leave one.

CREATE TABLE disowned_blobs (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
