SELECT
    jobs.id,
    (
        SELECT stream_entries.seq
        FROM stream_entries
        WHERE stream_entries.job = jobs.seq
        ORDER BY stream_entries.job DESC, stream_entries.seq DESC
        LIMIT 1
    )
FROM jobs
WHERE jobs.id = ANY ($1::text[])
