DELETE FROM blobs
WHERE id IN (SELECT gone.id FROM blobs AS gone WHERE gone.gone_at < $1 ORDER BY gone.gone_at LIMIT 10)
