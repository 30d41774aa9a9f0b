INSERT INTO messages (lane, job_id, ticket, team, work_tokens, sent_at, visible_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
