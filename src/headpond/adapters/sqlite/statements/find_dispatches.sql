SELECT record
FROM webhook_dispatches
WHERE
    endpoint = :endpoint
    AND (:state IS NULL OR state = :state)
    AND (
        :after IS NULL
        OR seq < (
            SELECT page_end.seq
            FROM webhook_dispatches AS page_end
            WHERE page_end.endpoint = :endpoint AND page_end.event = :after
        )
    )
ORDER BY seq DESC
LIMIT :limit
