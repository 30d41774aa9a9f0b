SELECT id, blob, team, purpose, filename, size, created_at, expires_at
FROM files
WHERE expires_at <= $1
ORDER BY expires_at, seq
LIMIT $2
