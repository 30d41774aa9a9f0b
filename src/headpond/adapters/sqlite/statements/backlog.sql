-- The ready ones, which may be many, come in groups from their index; of the others there are few.
SELECT team, sum(messages), sum(work_tokens)
FROM (
    SELECT team, count(*) AS messages, sum(work_tokens) AS work_tokens
    FROM messages
    WHERE lane = :lane AND token IS NULL
    GROUP BY team
    UNION ALL
    SELECT team, 1, work_tokens
    FROM messages
    WHERE lane = :lane AND token IS NOT NULL AND (token = '' OR visible_at <= :now)
)
GROUP BY team
