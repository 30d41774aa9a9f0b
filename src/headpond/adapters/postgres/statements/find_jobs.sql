SELECT record
FROM jobs
WHERE
    ($1::text IS NULL OR state = $1)
    AND ($2::text IS NULL OR seq < (SELECT page_end.seq FROM jobs AS page_end WHERE page_end.id = $2))
ORDER BY seq DESC
LIMIT $3
