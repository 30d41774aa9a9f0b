INSERT INTO batches (id, version, team, status, input_file, ended_at, record)
VALUES (?, ?, ?, ?, ?, ?, ?)
