INSERT INTO retention_line_marks (rule, ended_at, batch, line) VALUES ($1, $2, $3, $4)
ON CONFLICT (rule) DO UPDATE
SET ended_at = excluded.ended_at, batch = excluded.batch, line = excluded.line
