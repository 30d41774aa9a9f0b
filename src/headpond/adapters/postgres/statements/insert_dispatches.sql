INSERT INTO webhook_dispatches (
    endpoint, origin, event, version, state, occurred_at, due_at, ended_at, record
)
SELECT
    given.endpoint, given.origin, given.event, given.version, given.state, given.occurred_at, given.due_at,
    given.ended_at, given.record::json
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::integer[], $5::text[], $6::double precision[],
    $7::double precision[], $8::double precision[], $9::text[]
) WITH ORDINALITY AS given (
    endpoint, origin, event, version, state, occurred_at, due_at, ended_at, record, place
)
ORDER BY given.place
ON CONFLICT DO NOTHING
