UPDATE idempotency_keys SET expires_at = ? WHERE team = ? AND key = ?
