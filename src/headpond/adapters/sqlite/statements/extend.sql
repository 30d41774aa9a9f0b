UPDATE messages SET visible_at = ? WHERE seq = ? AND token = ? AND visible_at > ?
