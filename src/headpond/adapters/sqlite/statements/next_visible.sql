SELECT min(visible_at) FROM messages WHERE lane = ?
