-- As replace_job, for a job that has not ended before nor after: no index of ends is touched.
UPDATE jobs
SET version = ?, state = 'running', record = ?
WHERE seq = ?
