INSERT INTO scaling_steps (pool, at, record) VALUES ($1, $2, $3)
