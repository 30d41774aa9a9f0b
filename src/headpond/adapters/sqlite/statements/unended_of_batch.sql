SELECT record
FROM jobs
WHERE batch = :batch AND state IN ('accepted', 'queued', 'running')
LIMIT :limit
