INSERT INTO webhook_dispatches (
    endpoint, event, version, state, occurred_at, due_at, ended_at, record
)
SELECT
    given.endpoint, given.event, given.version, given.state, given.occurred_at, given.due_at,
    given.ended_at, given.record::json
FROM unnest(
    $1::text[], $2::text[], $3::integer[], $4::text[], $5::double precision[],
    $6::double precision[], $7::double precision[], $8::text[]
) WITH ORDINALITY AS given (
    endpoint, event, version, state, occurred_at, due_at, ended_at, record, place
)
ORDER BY given.place
ON CONFLICT DO NOTHING
