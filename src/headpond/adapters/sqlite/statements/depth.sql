-- Whatever has a token is few: what is leased and what is delayed. The ready ones are counted in
-- their index. The oldest is the one that was sent first; the large number stands for none.
SELECT
    count(*) FILTER (WHERE visible_at <= :now)
    + (SELECT count(*) FROM messages WHERE lane = :lane AND token IS NULL),
    count(*) FILTER (WHERE visible_at > :now AND token <> ''),
    count(*) FILTER (WHERE visible_at > :now AND token = ''),
    (
        SELECT oldest.sent_at
        FROM messages AS oldest
        WHERE oldest.seq = min(
            coalesce(
                (SELECT min(seq) FROM messages WHERE lane = :lane AND token IS NULL),
                0x7FFFFFFFFFFFFFFF
            ),
            coalesce(
                (
                    SELECT min(seq) FROM messages
                    WHERE lane = :lane AND token IS NOT NULL AND visible_at <= :now
                ),
                0x7FFFFFFFFFFFFFFF
            )
        )
    )
FROM messages
WHERE lane = :lane AND token IS NOT NULL
