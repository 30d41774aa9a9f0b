-- One step of the index for each destination that has something pending, however much that is.
-- `first` is the row of each that is due first; :limit bounds the walk, not what it finds.
WITH RECURSIVE first (seq) AS (
    SELECT (
        SELECT due.seq
        FROM webhook_dispatches AS due
        WHERE due.due_at IS NOT NULL AND (due.endpoint, due.origin) > (:endpoint, :origin)
        ORDER BY due.endpoint, due.origin, due.due_at
        LIMIT 1
    )
    UNION ALL
    SELECT coalesce(
        (
            SELECT later.seq
            FROM webhook_dispatches AS later
            WHERE
                later.due_at IS NOT NULL
                AND later.endpoint = here.endpoint
                AND later.origin > here.origin
            ORDER BY later.origin, later.due_at
            LIMIT 1
        ),
        (
            SELECT later.seq
            FROM webhook_dispatches AS later
            WHERE later.due_at IS NOT NULL AND later.endpoint > here.endpoint
            ORDER BY later.endpoint, later.origin, later.due_at
            LIMIT 1
        )
    )
    FROM first
    INNER JOIN webhook_dispatches AS here ON first.seq = here.seq
    LIMIT :limit
)

SELECT
    dispatch.endpoint,
    dispatch.origin,
    dispatch.due_at <= :now AS due
FROM first
INNER JOIN webhook_dispatches AS dispatch ON first.seq = dispatch.seq
