SELECT coalesce(sum(jobs), 0), coalesce(sum(work_tokens), 0)
FROM arrivals
WHERE lane IN (SELECT value FROM json_each(?))
