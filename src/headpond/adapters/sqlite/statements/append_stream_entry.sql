INSERT INTO stream_entries (job, seq, run, choices) VALUES (?, ?, ?, ?)
ON CONFLICT DO NOTHING
