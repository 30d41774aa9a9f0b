UPDATE messages SET token = ?, visible_at = ? WHERE seq IN (SELECT value FROM json_each(?))
