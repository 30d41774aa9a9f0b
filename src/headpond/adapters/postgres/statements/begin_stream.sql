-- Adds a restart iff the last entry is something that was said. Returns the number of the last
-- entry, no row if the claim has fallen. The record is locked as its readers may share it, so that it
-- cannot change until the entry is there.
WITH job AS (SELECT seq FROM jobs WHERE id = $1 AND version = $2 FOR SHARE),

last AS (
    SELECT job.seq AS job, entry.seq, entry.choices IS NULL AS restart
    FROM job
    LEFT JOIN LATERAL (
        SELECT stream_entries.seq, stream_entries.choices
        FROM stream_entries
        WHERE stream_entries.job = job.seq
        ORDER BY stream_entries.job DESC, stream_entries.seq DESC
        LIMIT 1
    ) AS entry ON true
),

restarted AS (
    INSERT INTO stream_entries (job, seq, run)
    SELECT last.job, last.seq + 1, $2 FROM last WHERE last.seq IS NOT NULL AND NOT last.restart
    RETURNING seq
)

SELECT coalesce((SELECT seq FROM restarted), last.seq, 0) FROM last
