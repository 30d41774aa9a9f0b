SELECT jobs.seq, jobs.finished_at, jobs.record, batches.ended_at
FROM jobs
LEFT JOIN batches ON batches.id = jobs.batch
WHERE
    jobs.finished_at IS NOT NULL
    AND (jobs.finished_at, jobs.seq) > (:after_time, :after_seq)
    AND jobs.finished_at <= :before
ORDER BY jobs.finished_at, jobs.seq
LIMIT :limit
