SELECT record FROM jobs WHERE unqueued_since < $1 ORDER BY unqueued_since, seq LIMIT $2
