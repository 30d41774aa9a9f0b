-- Scaling of pools.
--
-- arrivals        what was ever sent to each lane: a count that only rises, so that two looks at it
--                 make a rate; a trigger sees to that for every statement that sends
-- scaling_states  one for each pool, changed by compare-and-set on `version`, as JSON
-- scaling_steps   decisions with their reasons, as JSON; old ones are dropped

CREATE TABLE arrivals (
    lane TEXT PRIMARY KEY,
    jobs INTEGER NOT NULL,
    work_tokens INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER sent AFTER INSERT ON messages
BEGIN
    INSERT INTO arrivals (lane, jobs, work_tokens)
    VALUES (new.lane, 1, new.work_tokens)
    ON CONFLICT (lane) DO UPDATE
    SET jobs = jobs + 1, work_tokens = work_tokens + excluded.work_tokens;
END;

CREATE TABLE scaling_states (
    pool TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE scaling_steps (
    seq INTEGER PRIMARY KEY,
    pool TEXT NOT NULL,
    at REAL NOT NULL,
    record TEXT NOT NULL
) STRICT;

CREATE INDEX scaling_steps_of_pool ON scaling_steps (pool, at);

CREATE INDEX scaling_steps_by_time ON scaling_steps (at);
