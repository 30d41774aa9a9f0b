-- The version was looked at in this transaction.
UPDATE jobs
SET version = ?, state = ?, finished_at = ?, record = ?
WHERE seq = ?
