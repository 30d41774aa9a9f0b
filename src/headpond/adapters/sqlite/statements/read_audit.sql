SELECT
    audit.seq, requests.body, responses.body,
    id, ticket, team, feature, pool, priority, model, task_type, metadata, work_tokens,
    max_attempts, deadline, accepted_at, version, state, attempts, lost_leases, worker, engine,
    queued_at, started_at, finished_at, prompt_tokens, completion_tokens, confidence, error_code,
    error_message
FROM audit
LEFT JOIN requests ON audit.job_seq = requests.seq
LEFT JOIN responses ON audit.job_seq = responses.seq
WHERE
    audit.seq > :after
    AND (:team IS NULL OR team = :team)
    AND (:model IS NULL OR model = :model)
    AND (:since IS NULL OR finished_at >= :since)
    AND (:until IS NULL OR finished_at < :until)
ORDER BY audit.seq
LIMIT :limit
