SELECT idempotency_keys.team, idempotency_keys.key, jobs.finished_at IS NOT NULL OR jobs.id IS NULL
FROM idempotency_keys
LEFT JOIN jobs ON jobs.id = idempotency_keys.job_id
WHERE idempotency_keys.expires_at <= ?
ORDER BY idempotency_keys.expires_at
LIMIT ?
