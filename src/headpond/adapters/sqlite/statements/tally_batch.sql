SELECT state, count(*) FROM jobs WHERE batch = ? GROUP BY state
