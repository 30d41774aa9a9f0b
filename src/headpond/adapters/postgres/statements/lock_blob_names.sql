-- Until the end of the transaction nobody names a blob. The number is ours (0x48506E65).
SELECT pg_advisory_xact_lock(1213230693)
