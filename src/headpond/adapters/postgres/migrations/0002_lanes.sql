-- Messages, and fair shares of a lane between teams, as domain/fairness.py says.
--
-- messages   what waits or is leased; a row is deleted when its message is acknowledged, so the
--            table stays as small as the backlog however many jobs have finished
-- lanes      the virtual time of each lane
-- shares     the tag of each team that has messages ready in a lane, or whose tag is ahead of the
--            lane's virtual time; others are like new ones and are forgotten. Of equal tags the
--            lower `seq` goes first: the team that came first.
--
-- A message is ready when it has no token, whatever the clock says. Any other is hidden until
-- `visible_at`: leased under its token, or delayed under the token ''. Receiving makes those ready
-- whose time has come. `charge` is what the message moves its team's tag by.
--
-- Several processes do this at once, so what others wait for is locked for the length of one call
-- and never while the server waits for a client: a worker that is frozen in between holds up nobody.
--
-- - Whoever receives locks the lanes' rows, so receipts of a lane go one after the other; a receipt
--   of 64 takes about a millisecond.
-- - Whoever makes a message ready locks its team's row in `shares` as a foreign key would (KEY
--   SHARE): many can at once, and receiving goes on. Only to mark a team as idle, or to forget it,
--   is that lock in the way; then the team is left as it is. A team that is marked as backlogged and
--   is not costs one look; one that is and is not marked would wait for ever.

CREATE TABLE messages (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lane text COLLATE "C" NOT NULL,
    job_id text COLLATE "C" NOT NULL,
    ticket text COLLATE "C" NOT NULL,
    team text COLLATE "C" NOT NULL,
    work_tokens bigint NOT NULL,
    weight double precision NOT NULL,
    charge double precision NOT NULL,
    sent_at double precision NOT NULL,
    visible_at double precision NOT NULL,
    token text COLLATE "C"
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX messages_ready ON messages (lane, team, seq) WHERE token IS NULL;

CREATE INDEX messages_hidden ON messages (lane, visible_at) WHERE token IS NOT NULL;

CREATE TABLE lanes (lane text COLLATE "C" PRIMARY KEY, virtual_time double precision NOT NULL)
WITH (fillfactor = 10);

CREATE SEQUENCE shares_seq;

CREATE TABLE shares (
    lane text COLLATE "C" NOT NULL,
    team text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    tag double precision NOT NULL,
    backlogged boolean NOT NULL,
    PRIMARY KEY (lane, team)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE INDEX shares_backlogged ON shares (lane) WHERE backlogged;

-- The teams have messages ready now, in this order; a pair of lane and team may come twice. A team
-- that had none begins again at the lane's virtual time, if its tag is behind.
CREATE FUNCTION made_ready(given_lanes text[], given_teams text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    ready_lanes text[];
    ready_teams text[];
    held integer;
BEGIN
    SELECT array_agg(lane ORDER BY first), array_agg(team ORDER BY first)
    INTO ready_lanes, ready_teams
    FROM (
        SELECT lane, team, min(place) AS first
        FROM unnest(given_lanes, given_teams) WITH ORDINALITY AS given (lane, team, place)
        GROUP BY lane, team
    ) AS pairs;
    IF ready_lanes IS NULL THEN
        RETURN;
    END IF;
    LOOP
        -- In the order of keys, so that two of these never wait for each other.
        PERFORM 1
        FROM shares
        INNER JOIN unnest(ready_lanes, ready_teams) AS given (lane, team) USING (lane, team)
        ORDER BY shares.lane, shares.team
        FOR KEY SHARE OF shares;
        GET DIAGNOSTICS held = ROW_COUNT;
        EXIT WHEN held = cardinality(ready_lanes);
        WITH missing AS MATERIALIZED (
            SELECT given.lane, given.team, nextval('shares_seq') AS seq
            FROM unnest(ready_lanes, ready_teams) WITH ORDINALITY AS given (lane, team, place)
            WHERE NOT EXISTS (
                SELECT 1 FROM shares WHERE shares.lane = given.lane AND shares.team = given.team
            )
            ORDER BY given.place
        )
        INSERT INTO shares (lane, team, seq, tag, backlogged)
        SELECT missing.lane, missing.team, missing.seq, coalesce(lanes.virtual_time, 0), true
        FROM missing LEFT JOIN lanes ON lanes.lane = missing.lane
        ORDER BY missing.lane, missing.team
        ON CONFLICT DO NOTHING;
    END LOOP;
    UPDATE shares
    SET
        tag = greatest(
            tag,
            coalesce((SELECT virtual_time FROM lanes WHERE lanes.lane = shares.lane), 0)
        ),
        backlogged = true
    FROM unnest(ready_lanes, ready_teams) AS given (lane, team)
    WHERE shares.lane = given.lane AND shares.team = given.team AND NOT shares.backlogged;
END
$$;

-- Whether the team has anything ready, as the calling statement sees it. Not an EXISTS in those
-- statements: on tables that nobody has analysed that becomes a join, which reads the whole lane.
CREATE FUNCTION has_ready(here text, given_team text) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT 1 FROM messages
        WHERE messages.lane = here AND messages.team = given_team AND token IS NULL
    );
END
$$;

-- Leases up to `most` ready messages, earlier lanes first, teams in turn, under the token `nonce`.
-- With each comes what stands in the job's record, all null where there is none.
--
-- Whose turn it is, is what `take_turns` in domain/fairness.py finds with a heap. A message starts
-- at its team's tag plus what the team's messages before it are charged; those that start first are
-- taken. Of those that start together, a team's later ones go before another's first, in the order
-- of those before them. Of teams that are tied for three turns the one that came first goes first.
CREATE FUNCTION receive(
    given_lanes text[], most integer, at double precision, until double precision, nonce text
) RETURNS TABLE (
    seq bigint, lane text, job_id text, ticket text, team text, work_tokens bigint,
    weight double precision, record json, request bytea
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    taken bigint[] := '{}';
    here text;
    turn record;
BEGIN
    -- A look first: empty lanes cost no lock.
    IF NOT EXISTS (SELECT 1 FROM shares WHERE shares.lane = ANY (given_lanes) AND backlogged)
        AND NOT EXISTS (
            SELECT 1 FROM messages
            WHERE messages.lane = ANY (given_lanes) AND token IS NOT NULL AND visible_at <= at
        )
    THEN
        RETURN;
    END IF;
    INSERT INTO lanes (lane, virtual_time)
    SELECT given.lane, 0 FROM unnest(given_lanes) AS given (lane)
    WHERE NOT EXISTS (SELECT 1 FROM lanes WHERE lanes.lane = given.lane)
    ORDER BY given.lane
    ON CONFLICT DO NOTHING;
    PERFORM 1 FROM lanes WHERE lanes.lane = ANY (given_lanes) ORDER BY lanes.lane FOR NO KEY UPDATE;
    FOREACH here IN ARRAY given_lanes LOOP
        PERFORM promote(here, at);
    END LOOP;
    FOREACH here IN ARRAY given_lanes LOOP
        -- More than once only where teams that were marked as backlogged took the place of others.
        FOR look IN 1..3 LOOP
            EXIT WHEN cardinality(taken) >= most;
            SELECT * INTO turn FROM take_turns(here, most - cardinality(taken));
            EXIT WHEN turn.teams IS NULL;
            UPDATE messages SET token = nonce, visible_at = until
            WHERE messages.seq = ANY (turn.messages);
            taken := taken || turn.messages;
            PERFORM charge(here, turn.teams, turn.tags, turn.virtual_time);
        END LOOP;
    END LOOP;
    RETURN QUERY
    SELECT
        messages.seq, messages.lane, messages.job_id, messages.ticket, messages.team,
        messages.work_tokens, messages.weight, jobs.record, requests.body
    FROM unnest(taken) WITH ORDINALITY AS given (seq, place)
    INNER JOIN messages ON messages.seq = given.seq
    LEFT JOIN jobs ON jobs.id = messages.job_id
    LEFT JOIN requests ON requests.seq = jobs.seq
    ORDER BY given.place;
END
$$;

-- Makes those ready whose lease lapsed or whose delay has passed. Bounded, so that a mass of them is
-- no long transaction; the rest comes with the next receipt. One that its holder is just removing is
-- left to it.
CREATE FUNCTION promote(here text, at double precision) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    ready_teams text[];
BEGIN
    WITH due AS (
        SELECT messages.seq
        FROM messages
        WHERE messages.lane = here AND token IS NOT NULL AND visible_at <= at
        ORDER BY messages.lane, visible_at
        LIMIT 1024
        FOR UPDATE SKIP LOCKED
    ),

    moved AS (
        UPDATE messages SET token = NULL
        FROM due
        WHERE messages.seq = due.seq
        RETURNING messages.seq, messages.team
    )

    SELECT array_agg(moved.team ORDER BY moved.seq) INTO ready_teams FROM moved;
    IF ready_teams IS NOT NULL THEN
        PERFORM made_ready(array_fill(here, ARRAY[cardinality(ready_teams)]), ready_teams);
    END IF;
END
$$;

-- The next up to `most` ready messages of a lane, with the tags that teams have after that. `teams`
-- has each that was looked at, also one that had nothing. Changes nothing.
CREATE FUNCTION take_turns(
    here text, most integer,
    OUT messages bigint[], OUT teams text[], OUT tags double precision[],
    OUT virtual_time double precision
)
LANGUAGE sql AS $$
    WITH in_turn AS MATERIALIZED (
        SELECT team, tag, seq, row_number() OVER (ORDER BY tag, seq) - 1 AS ahead
        FROM shares
        WHERE lane = here AND backlogged
        ORDER BY tag, seq
        LIMIT most
    ),

    -- A team with so many ahead of it has that many turns less.
    waiting AS (
        SELECT
            in_turn.team, in_turn.seq AS came, ready.seq, ready.charge,
            in_turn.tag + coalesce(sum(ready.charge) OVER before, 0) AS start
        FROM in_turn
        CROSS JOIN LATERAL (
            SELECT messages.seq, messages.charge
            FROM messages
            -- Not by equality: then the order would be that of `seq` alone, and the primary key
            -- would be walked for it, past the messages of everybody else.
            WHERE
                (messages.lane, messages.team) >= (here, in_turn.team)
                AND (messages.lane, messages.team) <= (here, in_turn.team)
                AND token IS NULL
            ORDER BY messages.lane, messages.team, messages.seq
            LIMIT most - in_turn.ahead
        ) AS ready
        WINDOW before AS (
            PARTITION BY in_turn.team ORDER BY ready.seq
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
    ),

    traced AS (
        SELECT
            *,
            lag(start, 1) OVER turns AS start_before,
            lag(start, 2) OVER turns AS start_before_that
        FROM waiting
        WINDOW turns AS (PARTITION BY team ORDER BY seq)
    ),

    taken AS (
        SELECT
            team, seq, start, start + charge AS tag,
            row_number() OVER (
                ORDER BY start, start_before NULLS LAST, start_before_that NULLS LAST, came, seq
            ) AS place
        FROM traced
        ORDER BY place
        LIMIT most
    ),

    after_it AS (
        SELECT in_turn.team, coalesce(max(taken.tag), in_turn.tag) AS tag, count(taken.seq) AS turns
        FROM in_turn LEFT JOIN taken ON taken.team = in_turn.team
        GROUP BY in_turn.team, in_turn.tag
    ),

    looked_at AS (
        SELECT team, tag
        FROM after_it
        WHERE turns > 0 OR NOT has_ready(here, team)
    )

    SELECT
        coalesce((SELECT array_agg(taken.seq ORDER BY taken.place) FROM taken), '{}'),
        array_agg(team), array_agg(tag), (SELECT max(start) FROM taken)
    FROM looked_at
$$;

-- Charges the teams for what was taken. Those that have nothing ready any more are idle, unless
-- somebody is just making a message of theirs ready; idle ones that are behind are forgotten.
CREATE FUNCTION charge(
    here text, given_teams text[], given_tags double precision[], reached double precision
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    emptied text[];
BEGIN
    UPDATE shares SET tag = given.tag
    FROM unnest(given_teams, given_tags) AS given (team, tag)
    WHERE shares.lane = here AND shares.team = given.team AND shares.tag <> given.tag;
    SELECT array_agg(locked.team) INTO emptied
    FROM (
        SELECT shares.team
        FROM shares
        WHERE shares.lane = here AND shares.team = ANY (given_teams)
            AND NOT has_ready(here, shares.team)
        ORDER BY shares.team
        FOR UPDATE OF shares SKIP LOCKED
    ) AS locked;
    IF emptied IS NOT NULL THEN
        -- Another look: what was committed before the lock was had is seen by this statement.
        UPDATE shares SET backlogged = false
        WHERE shares.lane = here AND shares.team = ANY (emptied)
            AND NOT has_ready(here, shares.team);
    END IF;
    IF reached IS NULL THEN
        RETURN;
    END IF;
    UPDATE lanes SET virtual_time = reached WHERE lane = here AND virtual_time < reached;
    DELETE FROM shares
    WHERE shares.lane = here AND shares.team IN (
        SELECT behind.team
        FROM shares AS behind
        WHERE behind.lane = here AND NOT behind.backlogged
            AND behind.tag <= (SELECT virtual_time FROM lanes WHERE lane = here)
        FOR UPDATE SKIP LOCKED
    );
END
$$;

-- Makes each message ready after its delay, or in its old place, iff its lease is held. Nobody is
-- charged for it: refunded first, so that its team begins again where any other would. Returns the
-- lanes in which something is ready at once.
CREATE FUNCTION give_back(
    at double precision, given_seqs bigint[], given_tokens text[], given_delays double precision[]
) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
    held record;
    ready text[] := '{}';
BEGIN
    FOR held IN
        SELECT messages.seq, messages.lane, messages.team, messages.charge, given.delay
        FROM unnest(given_seqs, given_tokens, given_delays)
            WITH ORDINALITY AS given (seq, token, delay, place)
        INNER JOIN messages ON messages.seq = given.seq AND messages.token = given.token
        WHERE messages.visible_at > at
        ORDER BY given.place
        FOR UPDATE OF messages
    LOOP
        UPDATE shares SET tag = tag - held.charge
        WHERE shares.lane = held.lane AND shares.team = held.team;
        UPDATE messages
        SET token = CASE WHEN held.delay > 0 THEN '' END, visible_at = at + held.delay
        WHERE messages.seq = held.seq;
        IF held.delay <= 0 THEN
            PERFORM made_ready(ARRAY[held.lane], ARRAY[held.team]);
            ready := ready || held.lane;
        END IF;
    END LOOP;
    RETURN ready;
END
$$;
