INSERT INTO jobs (
    seq, id, version, team, model, state, accepted_at, deadline, finished_at, batch, record
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING
