SELECT idempotency_keys.fingerprint, jobs.record
FROM idempotency_keys
INNER JOIN jobs ON jobs.id = idempotency_keys.job_id
WHERE
    idempotency_keys.team = ? AND idempotency_keys.key = ?
    AND (idempotency_keys.expires_at > ? OR jobs.finished_at IS NULL)
