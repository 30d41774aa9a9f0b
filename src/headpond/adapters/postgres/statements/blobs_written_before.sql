SELECT name FROM blobs WHERE gone_at IS NULL AND written_at < $1
