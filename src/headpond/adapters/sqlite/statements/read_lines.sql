SELECT batches.ended_at, batches.seq, jobs.seq, jobs.record
FROM batches
INNER JOIN jobs INDEXED BY lines_of_batch ON jobs.batch = batches.id
WHERE
    batches.ended_at IS NOT NULL
    AND (batches.ended_at, batches.seq) >= (:ended_at, :batch)
    AND batches.ended_at <= :before
    AND (batches.seq <> :batch OR jobs.seq > :line)
ORDER BY batches.ended_at, batches.seq, jobs.seq
LIMIT :limit
