-- The records of jobs as they stand, with their requests.
SELECT jobs.id, jobs.record, requests.body
FROM jobs
INNER JOIN requests USING (seq)
WHERE jobs.id = ANY ($1::text[])
