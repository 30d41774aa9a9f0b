SELECT seq, lane, job_id, ticket, team, work_tokens, weight, record, request
FROM receive($1, $2, $3, $4, $5)
