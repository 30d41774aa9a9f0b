UPDATE messages
SET token = :nonce, visible_at = :until
WHERE seq IN (
    SELECT ready.seq
    FROM messages AS ready
    WHERE ready.lane = :lane AND ready.visible_at <= :now
    ORDER BY ready.visible_at, ready.seq
    LIMIT :limit
)
RETURNING seq, job_id, ticket, team, work_tokens
