WITH sent AS (
    INSERT INTO messages (
        lane, job_id, ticket, team, work_tokens, weight, charge, sent_at, visible_at, token
    )
    SELECT
        given.lane, given.job_id, given.ticket, given.team, given.work_tokens, given.weight,
        given.charge, $1::double precision, $1 + $2::double precision, CASE WHEN $2 > 0 THEN '' END
    FROM unnest(
        $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::double precision[],
        $9::double precision[]
    ) WITH ORDINALITY AS given (lane, job_id, ticket, team, work_tokens, weight, charge, place)
    ORDER BY given.place
    RETURNING lane, team, token
)

SELECT made_ready(array_agg(lane), array_agg(team)) FROM sent WHERE token IS NULL
