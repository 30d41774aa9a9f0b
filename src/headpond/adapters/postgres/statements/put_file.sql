INSERT INTO files (id, blob, team, purpose, filename, size, created_at, expires_at)
SELECT $1, $2, $3, $4, $5, $6, $7, $8
WHERE NOT EXISTS (SELECT 1 FROM disowned_blobs WHERE name = $2)
ON CONFLICT (id) DO UPDATE SET
    blob = excluded.blob,
    team = excluded.team,
    purpose = excluded.purpose,
    filename = excluded.filename,
    size = excluded.size,
    created_at = excluded.created_at,
    expires_at = excluded.expires_at
RETURNING id
