-- Compare-and-set for each, iff the message is still leased under the token.
UPDATE jobs
SET version = given.version, state = given.state, record = given.record::json
FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::bigint[], $6::text[])
    WITH ORDINALITY AS given (id, version, state, record, message, token, place)
INNER JOIN messages ON messages.seq = given.message AND messages.token = given.token
WHERE jobs.id = given.id AND jobs.version = given.version - 1
RETURNING given.place
