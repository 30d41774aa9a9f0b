SELECT record FROM jobs WHERE id = ?
