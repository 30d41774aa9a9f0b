-- Extends leases, and tells which of the claims still stand. A lease is extended all the same if its
-- job has changed: its worker lets go of it soon.
WITH extended AS (
    UPDATE messages SET visible_at = $1::double precision + $2::double precision
    FROM unnest($3::bigint[], $4::text[], $5::text[], $6::integer[]) WITH ORDINALITY
        AS given (seq, token, job_id, version, place)
    WHERE messages.seq = given.seq AND messages.token = given.token AND messages.visible_at > $1
    RETURNING given.place, given.job_id, given.version
)

SELECT extended.place
FROM extended
INNER JOIN jobs ON jobs.id = extended.job_id AND jobs.version = extended.version
