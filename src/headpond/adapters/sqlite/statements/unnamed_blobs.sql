SELECT value FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM files WHERE files.blob = value)
