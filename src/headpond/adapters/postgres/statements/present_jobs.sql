SELECT record, requests.body, responses.body
FROM jobs
INNER JOIN requests USING (seq)
LEFT JOIN responses USING (seq)
WHERE id = ANY ($1::text[])
ORDER BY id
