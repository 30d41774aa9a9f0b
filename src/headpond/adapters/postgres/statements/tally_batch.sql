SELECT line_state, count(*) FROM jobs WHERE batch = $1 GROUP BY line_state
