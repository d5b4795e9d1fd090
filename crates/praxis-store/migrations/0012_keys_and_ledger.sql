-- API keys. The secret itself is nowhere: it is 32 random bytes, so that its plain SHA-256 can neither be guessed nor
-- looked up, and needs neither salt nor a slow hash.
CREATE TABLE api_keys (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    hash         TEXT NOT NULL UNIQUE, -- SHA-256 of the secret, in hexadecimal
    hint         TEXT NOT NULL,        -- the last four characters of the secret
    scopes       TEXT NOT NULL,        -- JSON list of what it is for
    labels       TEXT NOT NULL,        -- JSON list of access labels; JSON null for all
    limits       TEXT NOT NULL,        -- JSON list of limits as people write them
    created_ms   BIGINT NOT NULL,
    expires_ms   BIGINT,               -- from then on it opens nothing
    revoked_ms   BIGINT,
    last_used_ms BIGINT
);
CREATE UNIQUE INDEX api_keys_by_name ON api_keys (name) WHERE revoked_ms IS NULL;

-- What is taken from limits; all times are microseconds since the epoch. A rate is a bucket that is full again at
-- tat_us + tat_part / amount, its theoretical arrival time.
CREATE TABLE ledger_rates (
    subject  TEXT NOT NULL,
    what     TEXT NOT NULL,   -- requests, tokens or usd
    every_s  BIGINT NOT NULL, -- time in which the amount comes again
    amount   BIGINT NOT NULL,
    tat_us   BIGINT NOT NULL,
    tat_part BIGINT NOT NULL,
    given_us BIGINT NOT NULL, -- sum of the times by which it was moved back
    born_us  BIGINT NOT NULL, -- when the row was made
    PRIMARY KEY (subject, what, every_s, amount)
);

-- A budget of a day, of a month or for ever is a sum. The amount is no part of the key: who raises a budget does not
-- begin it anew.
CREATE TABLE ledger_windows (
    subject  TEXT NOT NULL,
    what     TEXT NOT NULL,
    per      TEXT NOT NULL,   -- day, month or ever
    start_us BIGINT NOT NULL,
    ends_us  BIGINT,          -- NULL where it does not end
    used     BIGINT NOT NULL,
    PRIMARY KEY (subject, what, per, start_us)
);
CREATE INDEX ledger_windows_by_end ON ledger_windows (ends_us) WHERE ends_us IS NOT NULL;

-- Reservations that are not settled: what is not here any more is counted already.
CREATE TABLE ledger_open (
    id       TEXT PRIMARY KEY,
    taken_us BIGINT NOT NULL
);

-- Use, for reports. A call has a row for each of those who pay for it and one for all.
CREATE TABLE usage_daily (
    day           BIGINT NOT NULL, -- days since the epoch, of UTC
    kind          TEXT NOT NULL,   -- key, user, tag or all
    name          TEXT NOT NULL,   -- of the key, user or tag; '' for all
    model         TEXT NOT NULL,   -- '' where none answered
    requests      BIGINT NOT NULL,
    failed        BIGINT NOT NULL,
    input_tokens  BIGINT NOT NULL,
    cached_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    micros        BIGINT NOT NULL,
    PRIMARY KEY (day, kind, name, model)
);
