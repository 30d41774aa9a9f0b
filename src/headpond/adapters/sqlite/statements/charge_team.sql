UPDATE shares
SET
    tag = :tag,
    backlogged = EXISTS (
        SELECT 1 FROM messages WHERE lane = :lane AND team = :team AND token IS NULL
    )
WHERE lane = :lane AND team = :team
