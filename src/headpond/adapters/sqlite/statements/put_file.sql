INSERT INTO files (id, blob, team, purpose, filename, size, created_at, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    blob = excluded.blob,
    team = excluded.team,
    purpose = excluded.purpose,
    filename = excluded.filename,
    size = excluded.size,
    created_at = excluded.created_at,
    expires_at = excluded.expires_at
