INSERT INTO blobs (name, written_at) VALUES ($1, $2) RETURNING id
