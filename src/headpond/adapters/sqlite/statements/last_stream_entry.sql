SELECT seq, choices IS NULL
FROM stream_entries
WHERE job = ?
ORDER BY seq DESC
LIMIT 1
