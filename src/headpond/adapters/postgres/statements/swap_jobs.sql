-- Compare-and-set for each: the record stays if its version is not one below. Returns the places,
-- counted from 1, of those that were replaced.
WITH moved AS (
    UPDATE jobs
    SET
        version = given.version, state = given.state, finished_at = given.finished_at,
        record = given.record::json
    FROM unnest($1::text[], $2::integer[], $3::text[], $4::double precision[], $5::text[], $6::bytea[])
        WITH ORDINALITY AS given (id, version, state, finished_at, record, response, place)
    WHERE jobs.id = given.id AND jobs.version = given.version - 1
    RETURNING jobs.seq, given.place, given.response
),

answered AS (
    INSERT INTO responses (seq, body) SELECT seq, response FROM moved WHERE response IS NOT NULL
)

SELECT place FROM moved
