INSERT OR REPLACE INTO idempotency_keys (team, key, fingerprint, job_id, expires_at)
VALUES (?, ?, ?, ?, ?)
