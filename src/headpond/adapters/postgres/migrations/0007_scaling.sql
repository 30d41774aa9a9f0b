-- Scaling of pools.
--
-- arrivals        what was ever sent to each lane: counts that only rise, so that two looks at them
--                 make a rate; a trigger sees to that for every statement that sends. A lane has as
--                 many rows as there are slots, and a connection writes into its own: one row would
--                 be locked until a commit is on the disk, and whoever submits would wait for it.
-- scaling_states  one for each pool, changed by compare-and-set on `version`, as JSON
-- scaling_steps   decisions with their reasons, as JSON; old ones are dropped

CREATE TABLE arrivals (
    lane text COLLATE "C" NOT NULL,
    slot integer NOT NULL,
    jobs bigint NOT NULL,
    work_tokens bigint NOT NULL,
    PRIMARY KEY (lane, slot)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE FUNCTION count_sent() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO arrivals AS counted (lane, slot, jobs, work_tokens)
    SELECT sent.lane, pg_backend_pid() % 64, count(*), sum(sent.work_tokens)
    FROM sent
    GROUP BY sent.lane
    ORDER BY sent.lane
    ON CONFLICT (lane, slot) DO UPDATE SET
        jobs = counted.jobs + excluded.jobs,
        work_tokens = counted.work_tokens + excluded.work_tokens;
    RETURN NULL;
END
$$;

CREATE TRIGGER sent AFTER INSERT ON messages
REFERENCING NEW TABLE AS sent
FOR EACH STATEMENT EXECUTE FUNCTION count_sent();

CREATE TABLE scaling_states (
    pool text COLLATE "C" PRIMARY KEY,
    version integer NOT NULL,
    record json NOT NULL
);

CREATE TABLE scaling_steps (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pool text COLLATE "C" NOT NULL,
    at double precision NOT NULL,
    record json NOT NULL
);

CREATE INDEX scaling_steps_of_pool ON scaling_steps (pool, at, seq);

CREATE INDEX scaling_steps_by_time ON scaling_steps (at);
