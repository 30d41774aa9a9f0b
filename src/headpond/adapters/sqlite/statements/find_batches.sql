SELECT record
FROM batches
WHERE
    team = :team
    AND (:after IS NULL OR seq < (SELECT page_end.seq FROM batches AS page_end WHERE page_end.id = :after))
ORDER BY seq DESC
LIMIT :limit
