SELECT record
FROM webhook_dispatches
WHERE endpoint = $1 AND origin = $2 AND due_at <= $3
ORDER BY endpoint, origin, due_at, seq
LIMIT $4
FOR UPDATE SKIP LOCKED
