SELECT record
FROM jobs
WHERE
    team = :team
    AND (:state IS NULL OR state = :state)
    AND (:after IS NULL OR seq < (SELECT page_end.seq FROM jobs AS page_end WHERE page_end.id = :after))
ORDER BY seq DESC
LIMIT :limit
