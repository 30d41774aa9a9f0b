SELECT id, digest, hint, team, feature, limits, role, created_at, revoked_at
FROM api_keys
ORDER BY created_at, id
