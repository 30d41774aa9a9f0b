-- Both indexes hold little more than what is counted. The oldest is the one that was sent first.
WITH ready AS (
    SELECT count(*) AS messages, min(seq) AS oldest
    FROM messages
    WHERE lane = $1 AND token IS NULL
),

hidden AS (
    SELECT
        count(*) FILTER (WHERE visible_at <= $2) AS due,
        count(*) FILTER (WHERE visible_at > $2 AND token <> '') AS leased,
        count(*) FILTER (WHERE visible_at > $2 AND token = '') AS delayed,
        min(seq) FILTER (WHERE visible_at <= $2) AS oldest
    FROM messages
    WHERE lane = $1 AND token IS NOT NULL
)

SELECT
    ready.messages + hidden.due,
    hidden.leased,
    hidden.delayed,
    (SELECT sent_at FROM messages WHERE seq = least(ready.oldest, hidden.oldest))
FROM ready CROSS JOIN hidden
