DELETE FROM idempotency_keys WHERE team = ? AND key = ?
