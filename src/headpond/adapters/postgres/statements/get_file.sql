SELECT id, blob, team, purpose, filename, size, created_at, expires_at
FROM files
WHERE id = $1
