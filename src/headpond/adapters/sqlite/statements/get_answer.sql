SELECT answer FROM answers WHERE name = ? AND expires_at > ?
