-- Whoever names a blob and whoever disowns it wait for each other, until the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended(given.name, 1))
FROM (SELECT name FROM unnest($1::text[]) AS names (name) ORDER BY name) AS given
