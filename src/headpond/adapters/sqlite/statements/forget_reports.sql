-- Parameters: Unix seconds, how many to keep of each pool.
DELETE FROM workers
WHERE name IN (
    SELECT name
    FROM (
        SELECT
            name,
            reported_at,
            row_number() OVER (PARTITION BY pool ORDER BY reported_at DESC) AS place
        FROM workers
    )
    WHERE reported_at < ? AND place > ?
)
