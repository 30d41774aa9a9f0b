UPDATE webhook_endpoints SET version = $2, record = $3 WHERE id = $1 AND version = $2 - 1
RETURNING id
