-- Each half has its index, which holds little more than what is counted.
SELECT team, count(*), sum(work_tokens)::bigint
FROM (
    SELECT team, work_tokens FROM messages WHERE lane = $1 AND token IS NULL
    UNION ALL
    SELECT team, work_tokens
    FROM messages
    WHERE lane = $1 AND token IS NOT NULL AND (token = '' OR visible_at <= $2)
) AS waiting
GROUP BY team
