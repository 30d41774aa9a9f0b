-- Files, their bytes, and batches.
--
-- files        what is known of each file; its bytes are the blob of that name
-- blobs        a blob is there once it is `whole`; one that is `gone` is not, and its pieces stay for
--              a while for whoever is reading them
-- blob_pieces  the bytes in order, not compressed: what is read from the middle is found at once
-- disowned_blobs
--              names of blobs whose bytes were removed because no file named them: none may name
--              them any more. Names are used once, so a row stays for ever; only writers that died
--              leave one.
-- batches      changed by compare-and-set on `version`, as jobs are; `record` is the whole record as
--              JSON, the other columns are those of its fields that a statement looks for
-- retention_marks, retention_line_marks
--              how far each rule of retention has come among the jobs that ended, and among the
--              lines of batches that ended

CREATE TABLE files (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    blob text COLLATE "C" NOT NULL,
    team text COLLATE "C" NOT NULL,
    purpose text COLLATE "C" NOT NULL,
    filename text NOT NULL,
    size bigint NOT NULL,
    created_at double precision NOT NULL,
    expires_at double precision
);

CREATE INDEX files_of_team ON files (team, created_at, id);

CREATE INDEX files_by_blob ON files (blob);

CREATE INDEX files_by_expiry ON files (expires_at, seq) WHERE expires_at IS NOT NULL;

CREATE TABLE blobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    written_at double precision NOT NULL,
    whole boolean NOT NULL DEFAULT false,
    gone_at double precision
);

CREATE UNIQUE INDEX blobs_by_name ON blobs (name) WHERE gone_at IS NULL;

CREATE INDEX blobs_gone ON blobs (gone_at) WHERE gone_at IS NOT NULL;

CREATE TABLE blob_pieces (
    blob bigint NOT NULL REFERENCES blobs (id) ON DELETE CASCADE,
    first_byte bigint NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (blob, first_byte)
);

ALTER TABLE blob_pieces ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE TABLE disowned_blobs (name text COLLATE "C" PRIMARY KEY);

CREATE TABLE batches (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    version integer NOT NULL,
    team text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    input_file text COLLATE "C" NOT NULL,
    ended_at double precision,
    record json NOT NULL
);

CREATE INDEX batches_of_team ON batches (team, seq);

CREATE INDEX batches_open ON batches (seq) WHERE ended_at IS NULL;

CREATE INDEX batches_by_end ON batches (ended_at, seq) WHERE ended_at IS NOT NULL;

CREATE TABLE retention_marks (
    rule text COLLATE "C" PRIMARY KEY,
    finished_at double precision NOT NULL,
    seq bigint NOT NULL
);

CREATE TABLE retention_line_marks (
    rule text COLLATE "C" PRIMARY KEY,
    ended_at double precision NOT NULL,
    batch bigint NOT NULL,
    line bigint NOT NULL
);
