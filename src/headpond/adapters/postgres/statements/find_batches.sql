SELECT record
FROM batches
WHERE
    team = $1
    AND ($2::text IS NULL OR seq < (SELECT page_end.seq FROM batches AS page_end WHERE page_end.id = $2))
ORDER BY team DESC, seq DESC
LIMIT $3
