INSERT INTO scaling_states (pool, version, record)
SELECT :pool, :version, :record
WHERE :version = 1 + coalesce((SELECT version FROM scaling_states WHERE pool = :pool), 0)
ON CONFLICT (pool) DO UPDATE SET version = excluded.version, record = excluded.record
