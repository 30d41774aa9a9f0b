INSERT INTO messages (lane, job_id, ticket, team, work_tokens, weight, sent_at, visible_at, token)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
