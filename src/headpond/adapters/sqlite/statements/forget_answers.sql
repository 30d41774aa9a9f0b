DELETE FROM answers
WHERE seq IN (SELECT seq FROM answers WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)
