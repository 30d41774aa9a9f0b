-- One step of the index for each destination that has something pending, however much that is. The
-- row of each is the one that is due first; $4 bounds the walk, not what it finds.
WITH RECURSIVE first (endpoint, origin, due_at, number) AS (
    (
        SELECT due.endpoint, due.origin, due.due_at, 1
        FROM webhook_dispatches AS due
        WHERE due.due_at IS NOT NULL AND (due.endpoint, due.origin) > ($2::text, $3::text)
        ORDER BY due.endpoint, due.origin, due.due_at
        LIMIT 1
    )
    UNION ALL
    SELECT later.endpoint, later.origin, later.due_at, first.number + 1
    FROM first
    CROSS JOIN LATERAL (
        SELECT due.endpoint, due.origin, due.due_at
        FROM webhook_dispatches AS due
        WHERE
            due.due_at IS NOT NULL
            AND (due.endpoint, due.origin) > (first.endpoint, first.origin)
        ORDER BY due.endpoint, due.origin, due.due_at
        LIMIT 1
    ) AS later
    WHERE first.number < $4::integer
)

SELECT endpoint, origin, due_at <= $1 FROM first ORDER BY number
