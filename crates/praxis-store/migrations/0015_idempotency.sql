-- Requests that came with an `Idempotency-Key`, and their answers. The key itself is nowhere. Times are milliseconds
-- since the epoch.
CREATE TABLE idempotency (
    id         TEXT PRIMARY KEY, -- hash of who asked, of the address and of the key
    owner      TEXT NOT NULL,    -- hash of who asked
    expires_ms BIGINT NOT NULL,  -- from then on the key is a new one
    bytes      BIGINT NOT NULL,  -- of headers and body of the answer
    lease_ms   BIGINT,           -- until then the request counts as running; NULL where it was answered
    run        TEXT NOT NULL,    -- the attempt that runs or that answered
    request    TEXT NOT NULL,    -- hash of the request's body
    status     BIGINT,
    headers    TEXT,             -- JSON list of pairs
    body       BLOB
);
CREATE INDEX idempotency_by_owner ON idempotency (owner, expires_ms, id, bytes) WHERE lease_ms IS NULL;
CREATE INDEX idempotency_by_expiry ON idempotency (expires_ms);
