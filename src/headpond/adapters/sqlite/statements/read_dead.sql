SELECT seq, finished_at, record
FROM jobs
WHERE
    state = 'dead'
    AND (finished_at, seq) > (:after_time, :after_seq)
    AND (:team IS NULL OR team = :team)
    AND (:model IS NULL OR model = :model)
    AND (:code IS NULL OR record ->> '$.error.code' = :code)
    AND (:until IS NULL OR finished_at < :until)
ORDER BY finished_at, seq
LIMIT :limit
