UPDATE webhook_endpoints SET version = ?, record = ? WHERE id = ? AND version = ?
