INSERT OR IGNORE INTO webhook_endpoints (id, version, team, created_at, record)
VALUES (?, ?, ?, ?, ?)
