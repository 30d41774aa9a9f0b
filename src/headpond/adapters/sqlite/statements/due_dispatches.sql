SELECT record
FROM webhook_dispatches
WHERE endpoint = :endpoint AND origin = :origin AND due_at <= :now
ORDER BY due_at, seq
LIMIT :limit
