INSERT INTO scaling_states AS standing (pool, version, record)
SELECT $1, $2::integer, $3::json
WHERE $2::integer = 1 OR EXISTS (SELECT 1 FROM scaling_states WHERE pool = $1)
ON CONFLICT (pool) DO UPDATE SET version = excluded.version, record = excluded.record
WHERE standing.version = excluded.version - 1
RETURNING version
