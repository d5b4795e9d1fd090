-- Batches and uploads of OpenAI's API. Ids begin with what they are of and sort by time; times are seconds since the
-- epoch. A batch is open until it has an end.
CREATE TABLE batches (
    id               TEXT PRIMARY KEY,
    input            TEXT NOT NULL,   -- the file of its requests, which may be gone
    hash             TEXT NOT NULL,   -- BLAKE3 of that file's bytes, which stay while the batch is open
    endpoint         TEXT NOT NULL,
    metadata         TEXT,            -- JSON object of texts
    output_expires   BIGINT,          -- seconds after which its output files go
    status           TEXT NOT NULL,
    ending           TEXT,            -- status that it will have, once it is decided
    errors           TEXT NOT NULL,   -- JSON list
    model            TEXT,            -- where all requests name the same
    total            BIGINT NOT NULL, -- requests
    completed        BIGINT NOT NULL,
    failed           BIGINT NOT NULL,
    input_tokens     BIGINT NOT NULL,
    cached_tokens    BIGINT NOT NULL,
    output_tokens    BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    output_file      TEXT,
    error_file       TEXT,
    created          BIGINT NOT NULL,
    expires          BIGINT NOT NULL,
    begun            BIGINT,
    finalizing       BIGINT,
    cancelling       BIGINT,
    ended            BIGINT,
    made_by          TEXT NOT NULL,   -- none, configured or stored: whose key made it
    key              TEXT,            -- name of a configured key, or id of a stored one
    tags             TEXT NOT NULL,   -- as the client sent them
    host             TEXT NOT NULL,   -- name by which the client called the server
    owner            TEXT,
    labels           TEXT NOT NULL
);
CREATE INDEX open_batches ON batches (hash) WHERE ended IS NULL;

-- What came of requests, until the output files have it.
CREATE TABLE batch_answers (
    batch     TEXT NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    line      BIGINT NOT NULL, -- of the input, from 1
    id        TEXT NOT NULL,
    custom_id TEXT NOT NULL,
    status    BIGINT,          -- of HTTP; NULL where the request was not made
    request   TEXT NOT NULL,   -- id of the request; of one that was not made, code of the error
    body      TEXT NOT NULL,   -- JSON that was answered; of a request that was not made, the error for people
    PRIMARY KEY (batch, line)
);

CREATE TABLE uploads (
    id            TEXT PRIMARY KEY,
    filename      TEXT NOT NULL,
    purpose       TEXT NOT NULL,
    bytes         BIGINT NOT NULL, -- of the whole file
    expires_after BIGINT,          -- seconds after which the file goes
    status        TEXT NOT NULL,   -- pending, completed or cancelled
    file          TEXT,            -- what became of it
    created       BIGINT NOT NULL,
    expires       BIGINT NOT NULL,
    owner         TEXT,
    labels        TEXT NOT NULL
);
CREATE INDEX uploads_by_expiry ON uploads (expires);

-- Bytes of a part lie on the disk by its id. They are there before its row, and it is gone before they are.
CREATE TABLE upload_parts (
    id      TEXT PRIMARY KEY,
    upload  TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    bytes   BIGINT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX upload_parts_by_upload ON upload_parts (upload);
