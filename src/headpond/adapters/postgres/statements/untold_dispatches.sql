SELECT count(*), min(occurred_at) FROM webhook_dispatches WHERE due_at IS NOT NULL
