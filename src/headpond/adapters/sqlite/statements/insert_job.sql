INSERT INTO jobs (
    seq, id, version, team, model, state, accepted_at, deadline, finished_at, record
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
