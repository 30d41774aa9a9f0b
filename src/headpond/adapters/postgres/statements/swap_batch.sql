UPDATE batches
SET version = $2, status = $3, ended_at = $4, record = $5
WHERE id = $1 AND version = $2 - 1
RETURNING id
