-- Rows expire in about the order in which they came: a look at the oldest needs no index of its own.
DELETE FROM tries
WHERE seq IN (
    SELECT oldest.seq
    FROM (SELECT tries.seq, tries.expires_at FROM tries ORDER BY tries.seq LIMIT $2) AS oldest
    WHERE oldest.expires_at <= $1
)
RETURNING seq
