-- The index holds no job that succeeded; the last term says so to SQLite.
SELECT record
FROM jobs
WHERE
    team = :team
    AND state = :state
    AND (:after IS NULL OR seq < (SELECT page_end.seq FROM jobs AS page_end WHERE page_end.id = :after))
    AND state <> 'succeeded'
ORDER BY seq DESC
LIMIT :limit
