SELECT coalesce(sum(size), 0)::bigint
FROM files
WHERE team = $1 AND (expires_at IS NULL OR expires_at > $2)
