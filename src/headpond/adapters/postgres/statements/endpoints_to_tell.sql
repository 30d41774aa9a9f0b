-- Held until the end of the transaction, so that none is removed between this and its dispatches.
SELECT team, record
FROM webhook_endpoints
WHERE team = ANY ($1::text[])
ORDER BY team, created_at, seq
FOR KEY SHARE
