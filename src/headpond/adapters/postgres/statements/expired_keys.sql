SELECT idempotency_keys.team, idempotency_keys.key, jobs.finished_at IS NOT NULL OR jobs.id IS NULL
FROM idempotency_keys
LEFT JOIN jobs ON jobs.id = idempotency_keys.job_id
WHERE idempotency_keys.expires_at <= $1
ORDER BY idempotency_keys.expires_at
LIMIT $2
FOR UPDATE OF idempotency_keys SKIP LOCKED
