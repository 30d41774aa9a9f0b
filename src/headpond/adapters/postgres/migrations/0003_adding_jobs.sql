-- Adds records with their requests, their keys or tries, and, where a lane is given, their messages.
-- Arrays have an entry for each job. Returns the places of those that were added, counted from 1.
--
-- A job is added unless its key is held or its id is there. Of jobs with one key the first counts.
-- A key is held until it expires, and in any case until its job has ended. Tries of one fingerprint
-- wait for each other.

CREATE FUNCTION add_jobs(
    at double precision,
    ids text[], versions integer[], teams text[], models text[], states text[],
    accepted double precision[], deadlines double precision[], finished double precision[],
    batches text[], records text[], requests bytea[],
    keys text[], fingerprints text[], numbers integer[], expiries double precision[],
    lanes text[], tickets text[], work bigint[], weights double precision[],
    charges double precision[]
) RETURNS bigint[]
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    claimed text[] := '{}';
    fresh text[];
    fresh_places bigint[];
    ready_lanes text[];
    ready_teams text[];
BEGIN
    IF EXISTS (SELECT 1 FROM unnest(numbers) AS number WHERE number IS NOT NULL) THEN
        PERFORM pg_advisory_xact_lock(hashtextextended(tried.fingerprint, 0))
        FROM (
            SELECT DISTINCT given.fingerprint
            FROM unnest(fingerprints, numbers) AS given (fingerprint, number)
            WHERE given.number IS NOT NULL
            ORDER BY given.fingerprint
        ) AS tried;
    END IF;
    IF EXISTS (SELECT 1 FROM unnest(keys) AS key WHERE key IS NOT NULL) THEN
        WITH taken AS (
            INSERT INTO idempotency_keys AS held (team, key, fingerprint, job_id, expires_at)
            SELECT DISTINCT ON (given.team, given.key)
                given.team, given.key, given.fingerprint, given.id, given.expires_at
            FROM unnest(teams, keys, fingerprints, ids, expiries) WITH ORDINALITY
                AS given (team, key, fingerprint, id, expires_at, place)
            WHERE given.key IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = given.id)
            ORDER BY given.team, given.key, given.place
            ON CONFLICT (team, key) DO UPDATE
            SET
                fingerprint = excluded.fingerprint,
                job_id = excluded.job_id,
                expires_at = excluded.expires_at
            WHERE held.expires_at <= at AND NOT EXISTS (
                SELECT 1 FROM jobs WHERE jobs.id = held.job_id AND jobs.finished_at IS NULL
            )
            RETURNING held.job_id
        )

        SELECT array_agg(taken.job_id) INTO claimed FROM taken;
    END IF;

    WITH given AS (
        SELECT *
        FROM unnest(
            ids, versions, teams, models, states, accepted, deadlines, finished, batches, records,
            requests, keys, fingerprints, numbers, expiries
        ) WITH ORDINALITY AS given (
            id, version, team, model, state, accepted_at, deadline, finished_at, batch, record,
            request, key, fingerprint, number, expires_at, place
        )
        WHERE given.key IS NULL OR given.id = ANY (claimed)
    ),

    first AS (SELECT DISTINCT ON (given.id) * FROM given ORDER BY given.id, given.place),

    stored AS (
        INSERT INTO jobs (
            id, version, team, model, state, accepted_at, deadline, finished_at, batch, record
        )
        SELECT
            first.id, first.version, first.team, first.model, first.state, first.accepted_at,
            first.deadline, first.finished_at, first.batch, first.record::json
        FROM first
        ORDER BY first.place
        ON CONFLICT (id) DO NOTHING
        RETURNING seq, id
    ),

    asked AS (
        INSERT INTO requests (seq, body)
        SELECT stored.seq, first.request FROM stored INNER JOIN first ON first.id = stored.id
    ),

    tried AS (
        INSERT INTO tries (seq, fingerprint, number, expires_at)
        SELECT stored.seq, first.fingerprint, first.number, first.expires_at
        FROM stored INNER JOIN first ON first.id = stored.id
        WHERE first.number IS NOT NULL
    )

    SELECT array_agg(stored.id), array_agg(first.place ORDER BY first.place)
    INTO fresh, fresh_places
    FROM stored INNER JOIN first ON first.id = stored.id;
    IF NOT claimed <@ fresh THEN
        -- Somebody else has added the job meanwhile, under no key.
        DELETE FROM idempotency_keys
        WHERE (team, key) IN (SELECT given.team, given.key FROM unnest(teams, keys) AS given (team, key))
            AND job_id = ANY (claimed) AND NOT job_id = ANY (fresh);
    END IF;

    WITH sent AS (
        INSERT INTO messages (
            lane, job_id, ticket, team, work_tokens, weight, charge, sent_at, visible_at
        )
        SELECT
            given.lane, given.id, given.ticket, given.team, given.work, given.weight, given.charge,
            at, at
        FROM unnest(ids, teams, lanes, tickets, work, weights, charges) WITH ORDINALITY
            AS given (id, team, lane, ticket, work, weight, charge, place)
        WHERE given.place = ANY (fresh_places) AND given.lane IS NOT NULL
        ORDER BY given.place
        RETURNING lane, team
    )

    SELECT array_agg(sent.lane), array_agg(sent.team) INTO ready_lanes, ready_teams FROM sent;
    PERFORM made_ready(ready_lanes, ready_teams);
    RETURN fresh_places;
END
$$;
