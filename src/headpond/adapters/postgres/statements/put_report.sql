INSERT INTO workers (name, pool, reported_at, report) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO UPDATE SET
    pool = excluded.pool,
    reported_at = excluded.reported_at,
    report = excluded.report
