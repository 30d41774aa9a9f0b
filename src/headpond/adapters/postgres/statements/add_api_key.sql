INSERT INTO api_keys (id, digest, hint, team, feature, limits, role, created_at, revoked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
