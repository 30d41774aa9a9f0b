SELECT jobs.seq, jobs.id, jobs.record, requests.body
FROM json_each(?)
INNER JOIN jobs ON jobs.id = json_each.value
INNER JOIN requests USING (seq)
