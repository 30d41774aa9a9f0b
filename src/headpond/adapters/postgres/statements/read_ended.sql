SELECT jobs.seq, jobs.finished_at, jobs.record, batches.ended_at
FROM jobs
LEFT JOIN batches ON batches.id = jobs.batch
WHERE
    jobs.finished_at IS NOT NULL
    AND (jobs.finished_at, jobs.seq) > ($1::double precision, $2::bigint)
    AND jobs.finished_at <= $3
ORDER BY jobs.finished_at, jobs.seq
LIMIT $4
