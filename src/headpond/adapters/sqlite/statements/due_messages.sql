-- Leases that lapsed and delays that passed. Bounded, so that a mass of them is no long transaction.
SELECT seq
FROM messages
WHERE lane = :lane AND token IS NOT NULL AND visible_at <= :now
ORDER BY visible_at
LIMIT :limit
