SELECT record FROM webhook_endpoints WHERE team = ? ORDER BY created_at, rowid
