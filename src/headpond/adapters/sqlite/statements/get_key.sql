SELECT fingerprint, job_id FROM idempotency_keys WHERE team = ? AND key = ? AND expires_at > ?
