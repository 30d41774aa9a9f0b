SELECT record
FROM jobs
WHERE
    team = $1
    AND ($2::text IS NULL OR state = $2)
    AND ($3::text IS NULL OR seq < (SELECT page_end.seq FROM jobs AS page_end WHERE page_end.id = $3))
ORDER BY team DESC, seq DESC
LIMIT $4
