INSERT INTO arrivals (lane, jobs, work_tokens) VALUES (?, ?, ?)
ON CONFLICT (lane) DO UPDATE
SET jobs = jobs + excluded.jobs, work_tokens = work_tokens + excluded.work_tokens
