SELECT seq, job_id, ticket, work_tokens, weight
FROM messages
WHERE lane = ? AND team = ? AND token IS NULL AND seq > ?
ORDER BY seq
LIMIT ?
