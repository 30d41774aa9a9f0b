SELECT record
FROM jobs
WHERE state = 'accepted' AND accepted_at < :accepted_before
ORDER BY accepted_at, seq
LIMIT :limit
