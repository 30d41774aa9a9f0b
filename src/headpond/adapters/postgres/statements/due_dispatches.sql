SELECT record
FROM webhook_dispatches
WHERE endpoint = $1 AND due_at <= $2
ORDER BY endpoint, due_at, seq
LIMIT $3
FOR UPDATE SKIP LOCKED
