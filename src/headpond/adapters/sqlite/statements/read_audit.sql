SELECT jobs.seq, finished_at, record, requests.body, responses.body
FROM jobs
LEFT JOIN requests ON :bodies AND requests.seq = jobs.seq
LEFT JOIN responses ON :bodies AND responses.seq = jobs.seq
WHERE
    finished_at IS NOT NULL
    AND (finished_at, jobs.seq) > (:after_time, :after_seq)
    AND (:team IS NULL OR team = :team)
    AND (:model IS NULL OR model = :model)
    AND (:until IS NULL OR finished_at < :until)
ORDER BY finished_at, jobs.seq
LIMIT :limit
