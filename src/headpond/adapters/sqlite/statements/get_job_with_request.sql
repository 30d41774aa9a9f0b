SELECT jobs.record, requests.body
FROM jobs
INNER JOIN requests USING (seq)
WHERE jobs.id = ?
