SELECT record FROM webhook_endpoints WHERE team = $1 ORDER BY team, created_at, seq
