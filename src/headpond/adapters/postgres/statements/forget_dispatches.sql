DELETE FROM webhook_dispatches
WHERE seq IN (
    SELECT old.seq
    FROM webhook_dispatches AS old
    WHERE old.ended_at < $1
    ORDER BY old.ended_at
    LIMIT $2
)
RETURNING seq
