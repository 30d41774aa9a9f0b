SELECT seq FROM jobs WHERE id = ? AND version = ?
