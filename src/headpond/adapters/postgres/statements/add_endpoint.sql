INSERT INTO webhook_endpoints (id, version, team, created_at, record) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
RETURNING id
