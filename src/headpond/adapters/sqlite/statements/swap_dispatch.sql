UPDATE webhook_dispatches
SET version = ?, state = ?, due_at = ?, ended_at = ?, record = ?
WHERE endpoint = ? AND event = ? AND version = ?
