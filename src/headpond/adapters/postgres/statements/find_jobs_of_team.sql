-- Not by equality of the team: then the order would be that of `seq` alone, and the primary key might be
-- walked, past the jobs of everybody else. A later page begins where it says, not at the newest job.
SELECT record
FROM jobs
WHERE
    team >= $1
    AND (team, seq) < (
        $1,
        CASE
            WHEN $3::text IS NULL THEN 9223372036854775807
            ELSE (SELECT page_end.seq FROM jobs AS page_end WHERE page_end.id = $3)
        END
    )
    AND ($2::text IS NULL OR state = $2)
ORDER BY team DESC, seq DESC
LIMIT $4
