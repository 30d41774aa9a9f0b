-- Parameters: Unix seconds, how many to keep of each pool.
DELETE FROM workers
WHERE name IN (
    SELECT placed.name
    FROM (
        SELECT
            workers.name,
            workers.reported_at,
            row_number() OVER (PARTITION BY workers.pool ORDER BY workers.reported_at DESC) AS place
        FROM workers
    ) AS placed
    WHERE placed.reported_at < $1 AND placed.place > $2
)
RETURNING name
