SELECT id, blob, team, purpose, filename, size, created_at, expires_at
FROM files
WHERE expires_at IS NOT NULL AND expires_at <= :now
ORDER BY expires_at, seq
LIMIT :limit
