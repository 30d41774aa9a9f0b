-- What claims and settlements cost the server.
--
-- A page of `jobs` keeps room for what becomes of every row in it. Those of one page are claimed
-- together, and none of the rows as they were before can be cleared away until that is committed; a
-- record grows by a fourth when it is claimed, and as much when it is settled. At 60 one of three
-- claims went to another page, and every index heard of it.
--
-- `take_turns` is what it was, in a language whose plans are kept: before release 18 the server plans
-- a function in SQL anew for each statement that calls it, which took longer than to run it.

ALTER TABLE jobs SET (fillfactor = 35);

CREATE OR REPLACE FUNCTION take_turns(
    here text, most integer,
    OUT messages bigint[], OUT teams text[], OUT tags double precision[],
    OUT virtual_time double precision
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
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
    INTO messages, teams, tags, virtual_time
    FROM looked_at;
END
$$;
