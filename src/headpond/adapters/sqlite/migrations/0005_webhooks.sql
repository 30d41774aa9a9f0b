-- Endpoints of webhooks, and what is on its way to them.
--
-- dispatches  one event for one endpoint; `due_at` is null once it has ended, `ended_at` until
--             then. A row is written in the transaction that ends the job, and only where the
--             job's team has an endpoint or the job a callback. `record` is all of it as JSON.
--
-- Secrets stand here as they are: a signature needs them. The file is for its owner's eyes alone.

CREATE TABLE webhook_endpoints (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    team TEXT NOT NULL,
    created_at REAL NOT NULL,
    record TEXT NOT NULL
) STRICT;

CREATE INDEX webhook_endpoints_of_team ON webhook_endpoints (team, created_at);

CREATE TABLE webhook_dispatches (
    seq INTEGER PRIMARY KEY,
    endpoint TEXT NOT NULL,
    event TEXT NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL,
    occurred_at REAL NOT NULL,
    due_at REAL,
    ended_at REAL,
    record TEXT NOT NULL,
    UNIQUE (endpoint, event)
) STRICT;

CREATE INDEX webhook_dispatches_due ON webhook_dispatches (endpoint, due_at)
WHERE due_at IS NOT NULL;

CREATE INDEX webhook_dispatches_pending ON webhook_dispatches (occurred_at)
WHERE due_at IS NOT NULL;

CREATE INDEX webhook_dispatches_ended ON webhook_dispatches (ended_at)
WHERE ended_at IS NOT NULL;

CREATE INDEX webhook_dispatches_of_endpoint ON webhook_dispatches (endpoint, seq);
