-- Goes into each batch where it left off, and takes no more of it than it may return.
SELECT batches.ended_at, batches.seq, line.seq, line.record
FROM batches
CROSS JOIN LATERAL (
    SELECT jobs.seq, jobs.record
    FROM jobs
    WHERE jobs.batch = batches.id AND jobs.seq > CASE WHEN batches.seq = $2 THEN $3::bigint ELSE -1 END
    ORDER BY jobs.batch, jobs.seq
    LIMIT $5
) AS line
WHERE
    batches.ended_at IS NOT NULL
    AND (batches.ended_at, batches.seq) >= ($1::double precision, $2::bigint)
    AND batches.ended_at <= $4
ORDER BY batches.ended_at, batches.seq, line.seq
LIMIT $5
