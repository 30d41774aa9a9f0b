-- Compare-and-set of one record to what it is once its message is in its lane, and that message.
WITH moved AS (
    UPDATE jobs
    SET version = $3, state = $4, finished_at = $5, record = $6
    WHERE id = $1 AND version = $2
    RETURNING id
),

sent AS (
    INSERT INTO messages (
        lane, job_id, ticket, team, work_tokens, weight, charge, sent_at, visible_at, token
    )
    SELECT
        $9, moved.id, $10, $11, $12, $13, $14, $7::double precision, $7 + $8::double precision,
        CASE WHEN $8 > 0 THEN '' END
    FROM moved
    RETURNING lane, team, token
)

SELECT
    (SELECT count(*) FROM moved),
    (SELECT made_ready(array_agg(lane), array_agg(team)) FROM sent WHERE token IS NULL)
