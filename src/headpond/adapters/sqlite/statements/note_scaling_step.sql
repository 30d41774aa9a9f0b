INSERT INTO scaling_steps (pool, at, record) VALUES (?, ?, ?)
