-- By minutes, rounded up. What a worker has is not given out any more, so it does not count.
SELECT
    (CAST(deadline / 60.0 AS INTEGER) + 1) * 60.0 AS by_minute,
    count(*),
    sum(coalesce(record ->> 'work_tokens', 0))
FROM jobs
WHERE
    deadline IS NOT NULL AND state IN ('accepted', 'queued', 'running')
    AND state <> 'running' AND record ->> 'pool' = ?
GROUP BY by_minute
ORDER BY by_minute
