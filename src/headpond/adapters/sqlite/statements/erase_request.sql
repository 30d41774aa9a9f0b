DELETE FROM requests WHERE seq = ?
