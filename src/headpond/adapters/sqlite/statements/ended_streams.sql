-- Goes from one job to the next in the primary key, so it looks at no more rows than jobs.
WITH RECURSIVE streamed (job) AS (
    SELECT min(job) FROM stream_entries
    UNION ALL
    SELECT (SELECT min(job) FROM stream_entries WHERE job > streamed.job)
    FROM streamed
    WHERE streamed.job IS NOT NULL
    LIMIT :limit
)

SELECT streamed.job
FROM streamed
INNER JOIN jobs ON jobs.seq = streamed.job
WHERE jobs.finished_at < :ended_before
