-- Adds each entry while its run's claim stands; the record is locked as for `begin_stream`. Returns the places of those whose claim does.
WITH given AS (
    SELECT *
    FROM unnest($1::text[], $2::integer[], $3::integer[], $4::bytea[])
        WITH ORDINALITY AS given (job_id, run, seq, choices, place)
),

standing AS (
    SELECT jobs.seq AS job, given.run, given.seq, given.choices, given.place
    FROM given
    INNER JOIN jobs ON jobs.id = given.job_id AND jobs.version = given.run
    FOR SHARE OF jobs
),

appended AS (
    INSERT INTO stream_entries (job, seq, run, choices)
    SELECT job, seq, run, choices FROM standing
    ON CONFLICT DO NOTHING
)

SELECT place FROM standing
