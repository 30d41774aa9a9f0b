SELECT coalesce(sum(size), 0)
FROM files
WHERE team = :team AND (expires_at IS NULL OR expires_at > :now)
