INSERT OR REPLACE INTO retention_marks (rule, finished_at, seq) VALUES (?, ?, ?)
