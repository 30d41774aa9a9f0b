SELECT 1 FROM messages WHERE seq = ? AND token = ? AND visible_at > ?
