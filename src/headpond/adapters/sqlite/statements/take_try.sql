UPDATE tries SET number = ?, expires_at = ? WHERE seq = ?
