UPDATE messages SET visible_at = ?, token = NULL WHERE seq = ? AND token = ? AND visible_at > ?
