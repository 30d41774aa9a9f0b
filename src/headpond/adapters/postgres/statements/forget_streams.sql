-- Goes from one job to the next in the primary key, so it looks at no more rows than jobs.
WITH RECURSIVE streamed (job, number) AS (
    SELECT min(first.job), 1 FROM stream_entries AS first
    UNION ALL
    SELECT
        (SELECT min(later.job) FROM stream_entries AS later WHERE later.job > streamed.job),
        number + 1
    FROM streamed
    WHERE streamed.job IS NOT NULL AND number < $2
),

ended AS (
    SELECT streamed.job
    FROM streamed
    INNER JOIN jobs ON jobs.seq = streamed.job
    WHERE jobs.finished_at < $1
),

gone AS (DELETE FROM stream_entries USING ended WHERE stream_entries.job = ended.job)

SELECT count(*) FROM ended
