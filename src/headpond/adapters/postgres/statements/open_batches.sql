SELECT record FROM batches WHERE ended_at IS NULL ORDER BY seq
