SELECT requests.body, responses.body
FROM jobs
INNER JOIN requests USING (seq)
LEFT JOIN responses USING (seq)
WHERE jobs.id = $1
