UPDATE webhook_dispatches
SET version = $3, state = $4, due_at = $5, ended_at = $6, record = $7
WHERE endpoint = $1 AND event = $2 AND version = $3 - 1
RETURNING seq
