DELETE FROM webhook_dispatches
WHERE seq IN (
    SELECT old.seq
    FROM webhook_dispatches AS old
    WHERE old.ended_at < :ended_before
    ORDER BY old.ended_at
    LIMIT :limit
)
