-- By minutes, rounded up. What a worker has is not given out any more, so it does not count.
SELECT
    (floor(open_until / 60.0) + 1) * 60.0 AS by_minute,
    count(*),
    sum(coalesce((record ->> 'work_tokens')::bigint, 0))::bigint
FROM jobs
WHERE open_until IS NOT NULL AND state <> 'running' AND record ->> 'pool' = $1
GROUP BY by_minute
ORDER BY by_minute
