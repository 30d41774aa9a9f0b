INSERT INTO retention_marks (rule, finished_at, seq) VALUES ($1, $2, $3)
ON CONFLICT (rule) DO UPDATE SET finished_at = excluded.finished_at, seq = excluded.seq
