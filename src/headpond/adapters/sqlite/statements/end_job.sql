-- As swap_job, for a state that is an end. The last parameter is the job's team: the row says
-- whether it has endpoints of webhooks.
UPDATE jobs
SET version = ?, state = ?, finished_at = ?, record = ?
WHERE id = ? AND version = ?
RETURNING EXISTS (SELECT 1 FROM webhook_endpoints WHERE webhook_endpoints.team = ?)
