SELECT id, blob, team, purpose, filename, size, created_at, expires_at
FROM files
WHERE
    team = $1
    AND ($2::text IS NULL OR purpose = $2)
    AND (expires_at IS NULL OR expires_at > $3)
    -- As in find_batches.sql.
    AND (created_at, id) > (
        CASE
            WHEN $4::text IS NULL THEN '-Infinity'::double precision
            ELSE (SELECT page_end.created_at FROM files AS page_end WHERE page_end.id = $4)
        END,
        CASE WHEN $4::text IS NULL THEN '' ELSE $4 END
    )
ORDER BY team, created_at, id
LIMIT $5
