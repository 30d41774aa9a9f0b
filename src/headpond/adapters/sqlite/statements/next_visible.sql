-- Asks what receiving asks, so that nobody is told of a message that then is not handed out.
SELECT
    CASE
        WHEN EXISTS (SELECT 1 FROM shares WHERE lane = :lane AND backlogged = 1) THEN 0.0
        ELSE (SELECT min(visible_at) FROM messages WHERE lane = :lane AND token IS NOT NULL)
    END
