SELECT team, count(*), sum(work_tokens)::bigint
FROM messages
WHERE lane = $1 AND (token IS NULL OR token = '' OR visible_at <= $2)
GROUP BY team
