SELECT record FROM jobs WHERE open_until <= $1 ORDER BY open_until, seq LIMIT $2
