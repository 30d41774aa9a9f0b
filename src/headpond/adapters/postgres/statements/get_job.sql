SELECT record FROM jobs WHERE id = $1
