-- Callbacks wait apart for each origin that they go to (domain/destination.py); it is empty for
-- endpoints with a URL.
--
-- disowned_blobs  names of blobs whose bytes were removed because no file named them: none may name
--                 them any more. Names are used once, so a row stays for ever.

ALTER TABLE webhook_dispatches ADD COLUMN origin text COLLATE "C" NOT NULL DEFAULT '';

DROP INDEX webhook_dispatches_due;

CREATE INDEX webhook_dispatches_due ON webhook_dispatches (endpoint, origin, due_at, seq)
WHERE due_at IS NOT NULL;

CREATE TABLE disowned_blobs (name text COLLATE "C" PRIMARY KEY);
