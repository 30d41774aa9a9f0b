SELECT record
FROM batches
WHERE
    team = $1
    -- No OR: as a bound of the index it finds the page, as a filter it walks past all before it.
    AND seq < CASE
        WHEN $2::text IS NULL THEN 9223372036854775807
        ELSE (SELECT page_end.seq FROM batches AS page_end WHERE page_end.id = $2)
    END
ORDER BY team DESC, seq DESC
LIMIT $3
