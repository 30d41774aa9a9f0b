SELECT record
FROM jobs
WHERE
    finished_at IS NULL AND state IN ('queued', 'running')
    AND seq > coalesce((SELECT page_end.seq FROM jobs AS page_end WHERE page_end.id = $1::text), 0)
ORDER BY seq
LIMIT $2
