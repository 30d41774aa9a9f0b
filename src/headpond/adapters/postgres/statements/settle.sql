-- Writes what became of jobs, and releases their messages: an ended job's is deleted, a returned
-- one's is given back. Where somebody is to be told of an end, nothing happens, unless $12 says that
-- the same transaction tells them. Returns the places of those that were written, of those where
-- somebody is to be told, and the lanes in which something is ready at once.
WITH given AS (
    SELECT
        given.*,
        given.finished_at IS NOT NULL AND (
            given.callback
            OR EXISTS (SELECT 1 FROM webhook_endpoints WHERE webhook_endpoints.team = given.team)
        ) AS told
    FROM unnest(
        $2::text[], $3::integer[], $4::text[], $5::double precision[], $6::text[], $7::bytea[],
        $8::bigint[], $9::text[], $10::double precision[], $11::text[], $13::boolean[]
    ) WITH ORDINALITY AS given (
        id, version, state, finished_at, record, response, message, token, delay_s, team, callback,
        place
    )
),

moved AS (
    UPDATE jobs
    SET
        version = given.version, state = given.state, finished_at = given.finished_at,
        record = given.record::json
    FROM given
    WHERE jobs.id = given.id AND jobs.version = given.version - 1 AND ($12 OR NOT given.told)
    RETURNING
        jobs.seq, jobs.finished_at, given.place, given.response, given.message, given.token,
        given.delay_s
),

answered AS (
    INSERT INTO responses (seq, body) SELECT seq, response FROM moved WHERE response IS NOT NULL
),

released AS (
    DELETE FROM messages
    USING moved
    WHERE
        moved.finished_at IS NOT NULL
        AND messages.seq = moved.message AND messages.token = moved.token AND visible_at > $1
)

SELECT
    (SELECT coalesce(array_agg(place), '{}') FROM moved),
    (SELECT coalesce(array_agg(place), '{}') FROM given WHERE told AND NOT $12),
    (
        SELECT give_back($1, array_agg(message), array_agg(token), array_agg(delay_s))
        FROM moved
        WHERE finished_at IS NULL
        HAVING count(*) > 0
    )
