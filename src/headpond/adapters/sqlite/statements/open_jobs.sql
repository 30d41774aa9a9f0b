SELECT record
FROM jobs INDEXED BY jobs_open
WHERE
    state IN ('queued', 'running')
    AND seq > coalesce((SELECT page_end.seq FROM jobs AS page_end WHERE page_end.id = :after), 0)
ORDER BY seq
LIMIT :limit
