DELETE FROM responses WHERE seq = (SELECT jobs.seq FROM jobs WHERE jobs.id = ?)
