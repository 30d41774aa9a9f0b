SELECT id FROM blobs WHERE name = $1 AND gone_at IS NULL AND whole
