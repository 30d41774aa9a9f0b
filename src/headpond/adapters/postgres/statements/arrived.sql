SELECT coalesce(sum(jobs), 0)::bigint, coalesce(sum(work_tokens), 0)::bigint
FROM arrivals
WHERE lane = ANY ($1::text[])
