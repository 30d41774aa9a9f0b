SELECT
    count(*) FILTER (WHERE visible_at <= :now),
    count(*) FILTER (WHERE visible_at > :now AND token IS NOT NULL),
    count(*) FILTER (WHERE visible_at > :now AND token IS NULL),
    min(sent_at) FILTER (WHERE visible_at <= :now)
FROM messages
WHERE lane = :lane
