-- One step of the index for each endpoint that has something pending, however much that is.
WITH RECURSIVE pending (endpoint) AS (
    SELECT min(first.endpoint) FROM webhook_dispatches AS first WHERE first.due_at IS NOT NULL
    UNION ALL
    SELECT (
        SELECT min(later.endpoint)
        FROM webhook_dispatches AS later
        WHERE later.due_at IS NOT NULL AND later.endpoint > pending.endpoint
    )
    FROM pending
    WHERE pending.endpoint IS NOT NULL
)

SELECT endpoint
FROM pending
WHERE
    endpoint IS NOT NULL
    AND (
        SELECT min(first.due_at)
        FROM webhook_dispatches AS first
        WHERE first.due_at IS NOT NULL AND first.endpoint = pending.endpoint
    ) <= $1
LIMIT $2
