SELECT stream_entries.seq, stream_entries.run, stream_entries.choices
FROM jobs
INNER JOIN stream_entries ON stream_entries.job = jobs.seq
WHERE jobs.id = $1 AND stream_entries.seq > $2
ORDER BY stream_entries.job, stream_entries.seq
LIMIT $3
