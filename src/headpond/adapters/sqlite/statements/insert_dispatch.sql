INSERT OR IGNORE INTO webhook_dispatches (
    endpoint, origin, event, version, state, occurred_at, due_at, ended_at, record
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
