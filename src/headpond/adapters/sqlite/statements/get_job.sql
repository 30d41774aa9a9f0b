SELECT
    id, ticket, team, feature, pool, priority, model, task_type, metadata, work_tokens,
    max_attempts, deadline, accepted_at, version, state, attempts, lost_leases, worker, engine,
    queued_at, started_at, finished_at, prompt_tokens, completion_tokens, confidence, error_code,
    error_message
FROM jobs
WHERE id = ?
