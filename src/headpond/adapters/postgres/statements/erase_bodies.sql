WITH job AS (SELECT seq FROM jobs WHERE id = $1),

asked AS (DELETE FROM requests WHERE seq IN (SELECT seq FROM job))

DELETE FROM responses WHERE seq IN (SELECT seq FROM job)
