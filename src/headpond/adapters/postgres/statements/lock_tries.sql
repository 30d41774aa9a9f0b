-- Tries of one fingerprint wait for each other, until the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended($1, 0))
