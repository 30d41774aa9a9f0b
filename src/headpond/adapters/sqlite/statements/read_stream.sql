SELECT stream_entries.seq, stream_entries.run, stream_entries.choices
FROM jobs
INNER JOIN stream_entries ON stream_entries.job = jobs.seq
WHERE jobs.id = :job_id AND stream_entries.seq > :after
ORDER BY stream_entries.seq
LIMIT :limit
