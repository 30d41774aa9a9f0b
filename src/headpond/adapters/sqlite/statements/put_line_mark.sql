INSERT OR REPLACE INTO retention_line_marks (rule, ended_at, batch, line) VALUES (?, ?, ?, ?)
