DELETE FROM stream_entries WHERE job IN (SELECT value FROM json_each(?))
