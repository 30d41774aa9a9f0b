-- API keys, workers, webhooks and token streams.
--
-- workers             the latest report of each worker, as JSON
-- webhook_dispatches  one event for one endpoint; `due_at` is null once it has ended, `ended_at`
--                     until then. A row is written in the transaction that ends the job, and only
--                     where the job's team has an endpoint or the job a callback. Callbacks wait
--                     apart for each origin that they go to (domain/destination.py); it is empty for
--                     endpoints with a URL.
-- stream_entries      what streamed jobs have said so far (see ports/streams.py): a row for each group
--                     of tokens. `job` is the `seq` of the job's row, `run` the version of its record
--                     while the run may write. A row without choices is a restart.
--
-- Secrets of endpoints stand here as they are: a signature needs them.

CREATE TABLE api_keys (
    id text COLLATE "C" PRIMARY KEY,
    digest text COLLATE "C" NOT NULL UNIQUE,
    hint text NOT NULL,
    team text COLLATE "C" NOT NULL,
    feature text,
    limits text,
    role text NOT NULL,
    created_at double precision NOT NULL,
    revoked_at double precision
);

CREATE TABLE workers (
    name text COLLATE "C" PRIMARY KEY,
    pool text COLLATE "C" NOT NULL,
    reported_at double precision NOT NULL,
    report json NOT NULL
);

CREATE INDEX workers_of_pool ON workers (pool, reported_at);

CREATE TABLE webhook_endpoints (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    id text COLLATE "C" PRIMARY KEY,
    version integer NOT NULL,
    team text COLLATE "C" NOT NULL,
    created_at double precision NOT NULL,
    record json NOT NULL
);

CREATE INDEX webhook_endpoints_of_team ON webhook_endpoints (team, created_at, seq);

CREATE TABLE webhook_dispatches (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    endpoint text COLLATE "C" NOT NULL,
    origin text COLLATE "C" NOT NULL,
    event text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    state text COLLATE "C" NOT NULL,
    occurred_at double precision NOT NULL,
    due_at double precision,
    ended_at double precision,
    record json NOT NULL,
    UNIQUE (endpoint, event)
);

CREATE INDEX webhook_dispatches_due ON webhook_dispatches (endpoint, origin, due_at, seq)
WHERE due_at IS NOT NULL;

CREATE INDEX webhook_dispatches_pending ON webhook_dispatches (occurred_at)
WHERE due_at IS NOT NULL;

CREATE INDEX webhook_dispatches_ended ON webhook_dispatches (ended_at)
WHERE ended_at IS NOT NULL;

CREATE INDEX webhook_dispatches_of_endpoint ON webhook_dispatches (endpoint, seq);

CREATE TABLE stream_entries (
    job bigint NOT NULL,
    seq integer NOT NULL,
    run integer NOT NULL,
    choices bytea,
    PRIMARY KEY (job, seq)
);
