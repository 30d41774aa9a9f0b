SELECT idempotency_keys.fingerprint, jobs.record
FROM idempotency_keys
INNER JOIN jobs ON jobs.id = idempotency_keys.job_id
WHERE
    idempotency_keys.team = $1 AND idempotency_keys.key = $2
    AND (idempotency_keys.expires_at > $3 OR jobs.finished_at IS NULL)
