UPDATE messages SET token = NULL WHERE seq = ?
