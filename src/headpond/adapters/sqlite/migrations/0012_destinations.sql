-- Callbacks wait apart for each origin that they go to (domain/destination.py); it is empty for
-- endpoints with a URL. What was written before, or by a process of an older release, waits together.

ALTER TABLE webhook_dispatches ADD COLUMN origin TEXT NOT NULL DEFAULT '';

DROP INDEX webhook_dispatches_due;

CREATE INDEX webhook_dispatches_due ON webhook_dispatches (endpoint, origin, due_at)
WHERE due_at IS NOT NULL;
