INSERT OR REPLACE INTO answers (name, expires_at, answer) VALUES (?, ?, ?)
