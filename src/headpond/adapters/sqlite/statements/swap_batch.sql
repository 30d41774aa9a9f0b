-- Compare-and-set: the last two parameters are the id and the version that was read.
UPDATE batches
SET version = ?, status = ?, ended_at = ?, record = ?
WHERE id = ? AND version = ?
