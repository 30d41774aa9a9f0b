SELECT jobs.id, (SELECT max(seq) FROM stream_entries WHERE job = jobs.seq)
FROM jobs
WHERE jobs.id IN (SELECT value FROM json_each(?))
