SELECT seq, finished_at, record
FROM jobs
WHERE
    finished_at IS NOT NULL
    AND (finished_at, seq) > (:after_time, :after_seq)
    AND finished_at <= :before
ORDER BY finished_at, seq
LIMIT :limit
