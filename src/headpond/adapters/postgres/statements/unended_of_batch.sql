-- State by state: for all three at once a plan for any batch may walk the index of lines, past every
-- line that has ended.
SELECT line.record
FROM unnest(ARRAY['accepted', 'queued', 'running']) AS given (state)
CROSS JOIN LATERAL (
    SELECT jobs.record
    FROM jobs
    WHERE jobs.batch = $1 AND jobs.line_state = given.state
    LIMIT $2
) AS line
LIMIT $2
