SELECT record
FROM jobs
WHERE
    deadline IS NOT NULL AND state IN ('accepted', 'queued', 'running')
    AND deadline <= :now
ORDER BY deadline, seq
LIMIT :limit
