SELECT team, count(*), sum(work_tokens)
FROM messages
WHERE lane = :lane AND (visible_at <= :now OR token IS NULL)
GROUP BY team
