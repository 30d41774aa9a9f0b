-- Not by equality: then a plan for any destination may walk what is pending for all of them.
SELECT record
FROM webhook_dispatches
WHERE
    due_at IS NOT NULL
    AND (endpoint, origin) >= ($1, $2)
    AND (endpoint, origin, due_at) <= ($1, $2, $3::double precision)
ORDER BY endpoint, origin, due_at, seq
LIMIT $4
FOR UPDATE SKIP LOCKED
