INSERT INTO responses (seq, body) VALUES (?, ?)
