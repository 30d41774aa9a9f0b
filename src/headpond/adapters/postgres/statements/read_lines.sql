SELECT batches.ended_at, batches.seq, jobs.seq, jobs.record
FROM batches
INNER JOIN jobs ON jobs.batch = batches.id
WHERE
    batches.ended_at IS NOT NULL
    AND (batches.ended_at, batches.seq) >= ($1::double precision, $2::bigint)
    AND batches.ended_at <= $4
    AND (batches.seq <> $2 OR jobs.seq > $3)
ORDER BY batches.ended_at, batches.seq, jobs.seq
LIMIT $5
