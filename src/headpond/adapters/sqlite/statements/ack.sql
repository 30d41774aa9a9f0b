DELETE FROM messages WHERE seq = ? AND token = ? AND visible_at > ?
