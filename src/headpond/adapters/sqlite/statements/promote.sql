-- Leases that lapsed and delays that passed. Bounded, so that a mass of them is no long transaction.
UPDATE messages
SET token = NULL
WHERE seq IN (
    SELECT due.seq
    FROM messages AS due
    WHERE due.lane = :lane AND due.token IS NOT NULL AND due.visible_at <= :now
    ORDER BY due.visible_at
    LIMIT :limit
)
