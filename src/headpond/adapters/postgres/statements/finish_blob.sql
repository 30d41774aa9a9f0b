UPDATE blobs SET whole = true, written_at = $2 WHERE id = $1 AND gone_at IS NULL RETURNING id
