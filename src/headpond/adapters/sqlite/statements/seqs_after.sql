SELECT seq FROM jobs WHERE seq > ?
