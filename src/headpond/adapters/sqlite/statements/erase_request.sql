DELETE FROM requests WHERE seq = (SELECT jobs.seq FROM jobs WHERE jobs.id = ?)
