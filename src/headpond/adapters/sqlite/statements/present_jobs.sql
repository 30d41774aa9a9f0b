SELECT record, requests.body, responses.body
FROM jobs
INNER JOIN requests USING (seq)
LEFT JOIN responses USING (seq)
WHERE id IN (SELECT value FROM json_each(?))
ORDER BY id
