INSERT INTO batches (id, version, team, status, input_file, ended_at, record)
VALUES ($1, $2, $3, $4, $5, $6, $7)
