-- Compare-and-set: the last two parameters are the id and the version that was read.
UPDATE jobs
SET version = ?, state = ?, finished_at = ?, record = ?
WHERE id = ? AND version = ?
