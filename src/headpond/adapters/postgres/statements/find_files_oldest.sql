SELECT id, blob, team, purpose, filename, size, created_at, expires_at
FROM files
WHERE
    team = $1
    AND ($2::text IS NULL OR purpose = $2)
    AND (expires_at IS NULL OR expires_at > $3)
    AND (
        $4::text IS NULL
        OR (created_at, id) > (
            SELECT page_end.created_at, page_end.id FROM files AS page_end WHERE page_end.id = $4
        )
    )
ORDER BY team, created_at, id
LIMIT $5
