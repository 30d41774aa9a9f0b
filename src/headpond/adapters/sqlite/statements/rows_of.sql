SELECT jobs.id, jobs.version, jobs.seq
FROM json_each(?)
INNER JOIN jobs ON jobs.id = json_each.value
