-- Jobs of a team in one state, newest first. Those that succeeded are left out: they are most of a
-- team's jobs, and found on the way through all of them; so a job costs this index little.
--
-- What is ready is counted and summed in its index, without a look at the rows.

CREATE INDEX jobs_in_state ON jobs (team, state, seq) WHERE state <> 'succeeded';

DROP INDEX messages_ready;

CREATE INDEX messages_ready ON messages (lane, team, seq, work_tokens) WHERE token IS NULL;
