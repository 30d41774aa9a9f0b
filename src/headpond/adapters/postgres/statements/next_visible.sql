-- Asks what receiving asks, so that nobody is told of a message that then is not handed out. When the
-- first message of the lanes becomes ready, 0 if one is, null if they are empty.
SELECT
    CASE
        WHEN EXISTS (SELECT 1 FROM shares WHERE lane = ANY ($1::text[]) AND backlogged) THEN 0.0
        ELSE (
            SELECT min(first.visible_at)
            FROM unnest($1::text[]) AS given (lane)
            CROSS JOIN LATERAL (
                SELECT messages.visible_at
                FROM messages
                WHERE messages.lane = given.lane AND token IS NOT NULL
                ORDER BY messages.lane, messages.visible_at
                LIMIT 1
            ) AS first
        )
    END
