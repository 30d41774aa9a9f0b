UPDATE blobs SET gone_at = $2 WHERE name = $1 AND gone_at IS NULL
