INSERT INTO arrivals AS counted (lane, slot, jobs, work_tokens)
VALUES ($1, pg_backend_pid() % 64, $2, $3)
ON CONFLICT (lane, slot) DO UPDATE SET
    jobs = counted.jobs + excluded.jobs,
    work_tokens = counted.work_tokens + excluded.work_tokens
