-- Until the end of the transaction no blob is disowned; any number may name theirs.
SELECT pg_advisory_xact_lock_shared(1213230693)
