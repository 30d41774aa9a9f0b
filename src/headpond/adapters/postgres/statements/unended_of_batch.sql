SELECT record
FROM jobs
WHERE batch = $1 AND line_state IN ('accepted', 'queued', 'running')
LIMIT $2
