INSERT INTO api_keys (id, digest, hint, team, feature, limits, role, created_at, revoked_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
