INSERT INTO tries (seq, fingerprint, number, expires_at) VALUES (?, ?, ?, ?)
