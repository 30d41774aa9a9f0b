DELETE FROM idempotency_keys
USING unnest($1::text[], $2::text[]) AS given (team, key)
WHERE idempotency_keys.team = given.team AND idempotency_keys.key = given.key
