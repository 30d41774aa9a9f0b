INSERT INTO requests (seq, body) VALUES (?, ?)
