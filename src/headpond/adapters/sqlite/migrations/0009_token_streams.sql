-- What streamed jobs have said so far (see ports/streams.py): a row for each group of tokens.
--
-- `job` is the `seq` of the job's row, `run` the version of its record while the run may write.
-- A row without choices is a restart. Rows go some time after the job's end: the result stands in
-- `responses` by then.

CREATE TABLE stream_entries (
    job INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    run INTEGER NOT NULL,
    choices BLOB,
    PRIMARY KEY (job, seq)
) STRICT, WITHOUT ROWID;
