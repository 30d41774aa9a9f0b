DELETE FROM responses WHERE seq = ?
