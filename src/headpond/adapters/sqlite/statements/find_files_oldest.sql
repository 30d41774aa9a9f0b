SELECT id, blob, team, purpose, filename, size, created_at, expires_at
FROM files
WHERE
    team = :team
    AND (:purpose IS NULL OR purpose = :purpose)
    AND (expires_at IS NULL OR expires_at > :now)
    AND (
        :after IS NULL
        OR (created_at, id) > (
            SELECT page_end.created_at, page_end.id FROM files AS page_end WHERE page_end.id = :after
        )
    )
ORDER BY created_at, id
LIMIT :limit
