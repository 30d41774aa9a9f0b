INSERT INTO lanes (lane, virtual_time) VALUES (?, ?)
ON CONFLICT (lane) DO UPDATE SET virtual_time = max(virtual_time, excluded.virtual_time)
