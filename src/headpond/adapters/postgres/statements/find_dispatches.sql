SELECT record
FROM webhook_dispatches
WHERE
    endpoint = $1
    AND ($2::text IS NULL OR state = $2)
    AND (
        $3::text IS NULL
        OR seq < (
            SELECT page_end.seq
            FROM webhook_dispatches AS page_end
            WHERE page_end.endpoint = $1 AND page_end.event = $3
        )
    )
ORDER BY endpoint DESC, seq DESC
LIMIT $4
