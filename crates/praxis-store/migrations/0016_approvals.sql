-- Calls of tools that need a person's approval, and the log of all calls of tools. Times are milliseconds since the
-- epoch. Who calls is JSON, as in traces.
CREATE TABLE approvals (
    id          TEXT PRIMARY KEY, -- ids sort by time
    digest      TEXT NOT NULL,    -- SHA-256 of function, arguments and who calls, in hexadecimal
    function    TEXT NOT NULL,
    effects     TEXT NOT NULL,    -- JSON list of words
    arguments   TEXT NOT NULL,    -- JSON, as the call is made
    shown       TEXT NOT NULL,    -- JSON, as people see them
    caller      TEXT NOT NULL,
    payer_user  TEXT,             -- the user of that caller, as the client says
    reason      TEXT NOT NULL,
    trace       TEXT NOT NULL,    -- of the call that asked, or that was begun
    state       TEXT NOT NULL,    -- pending, approved, denied, consumed, done, failed or expired
    valid_ms    BIGINT NOT NULL,  -- how long it may wait, and how long a decision holds
    created_ms  BIGINT NOT NULL,
    expires_ms  BIGINT NOT NULL,  -- from then on it is expired where it is pending or approved, else past
    decided_ms  BIGINT,
    decided_by  TEXT,
    note        TEXT,
    run         TEXT,             -- the attempt that consumed it
    scope       TEXT,             -- within which that attempt is the same call again
    consumed_ms BIGINT,
    ended_ms    BIGINT,
    result      TEXT,             -- JSON
    error       TEXT
);
-- A call has one record at most that something may still become of.
CREATE UNIQUE INDEX live_approvals ON approvals (digest) WHERE state IN ('pending', 'approved', 'consumed');
CREATE INDEX approvals_by_digest ON approvals (digest, created_ms);
CREATE INDEX waiting_approvals ON approvals (caller, expires_ms) WHERE state = 'pending';
CREATE INDEX approvals_by_expiry ON approvals (expires_ms);

-- Rows are added and, after a time, dropped; none is ever changed. Numbers rise in the order in which rows are written.
CREATE TABLE tool_calls (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms      BIGINT NOT NULL,
    call       TEXT NOT NULL,   -- the same in all rows of one call
    function   TEXT NOT NULL,
    effects    TEXT NOT NULL,   -- JSON list of words
    digest     TEXT NOT NULL,
    arguments  TEXT NOT NULL,   -- JSON, without secrets, and cut
    caller     TEXT NOT NULL,
    payer_user TEXT,
    trace      TEXT NOT NULL,
    tainted_by TEXT,            -- what was read from outside before
    decision   TEXT NOT NULL,   -- why it was let through, or not
    approval   TEXT,            -- an approval, which may be gone
    outcome    TEXT NOT NULL,   -- began, done, failed, repeated, waits, denied, limited or refused
    message    TEXT             -- why it was not made, or failed
);
CREATE INDEX tool_calls_by_time ON tool_calls (at_ms);
