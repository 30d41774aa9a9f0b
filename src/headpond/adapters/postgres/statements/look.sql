-- One step of the index for each destination that has something pending, however much that is. A
-- step is taken when its row is asked for, so $2 bounds the walk.
WITH RECURSIVE first (endpoint, origin, due_at) AS (
    (
        SELECT pending.endpoint, pending.origin, pending.due_at
        FROM webhook_dispatches AS pending
        WHERE pending.due_at IS NOT NULL AND (pending.endpoint, pending.origin) > ($3, $4)
        ORDER BY pending.endpoint, pending.origin, pending.due_at
        LIMIT 1
    )
    UNION ALL
    SELECT later.endpoint, later.origin, later.due_at
    FROM first
    CROSS JOIN LATERAL (
        SELECT pending.endpoint, pending.origin, pending.due_at
        FROM webhook_dispatches AS pending
        WHERE
            pending.due_at IS NOT NULL
            AND (pending.endpoint, pending.origin) > (first.endpoint, first.origin)
        ORDER BY pending.endpoint, pending.origin, pending.due_at
        LIMIT 1
    ) AS later
)

SELECT endpoint, origin, due_at <= $1
FROM first
LIMIT $2
