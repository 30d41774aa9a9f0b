SELECT team, count(*), sum(work_tokens)
FROM (
    SELECT team, work_tokens
    FROM messages
    WHERE lane = :lane AND token IS NULL
    UNION ALL
    SELECT team, work_tokens
    FROM messages
    WHERE lane = :lane AND token IS NOT NULL AND (token = '' OR visible_at <= :now)
)
GROUP BY team
