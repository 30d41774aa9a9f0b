SELECT id, digest, hint, team, feature, limits, role, created_at, revoked_at
FROM api_keys
WHERE digest = $1
