-- Responses and conversations of OpenAI's API. Times are seconds since the epoch. Who made one sees it, as long as
-- neither name nor labels of the key change, and who may read everything.
CREATE TABLE conversations (
    id       TEXT PRIMARY KEY,
    caller   TEXT,            -- JSON of who made it; NULL for one that may read everything
    metadata TEXT NOT NULL,   -- JSON object of texts
    created  BIGINT NOT NULL,
    active   BIGINT NOT NULL, -- when it was last changed
    items    BIGINT NOT NULL, -- how many it has
    bytes    BIGINT NOT NULL  -- of all its items
);
CREATE INDEX conversations_by_use ON conversations (active);

CREATE TABLE conversation_items (
    conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    place        TEXT NOT NULL, -- ten digits
    id           TEXT NOT NULL,
    body         TEXT NOT NULL, -- JSON; empty where it was deleted, so that lists that are read go on behind it
    PRIMARY KEY (conversation, place),
    UNIQUE (conversation, id)
);
CREATE INDEX conversation_items_by_id ON conversation_items (id);

CREATE TABLE responses (
    id           TEXT PRIMARY KEY,
    caller       TEXT,
    previous     TEXT,            -- the response that it goes on from; it may be gone
    conversation TEXT,            -- the conversation that it is of; it may be gone
    status       TEXT NOT NULL,   -- queued, in_progress, completed, incomplete, failed or cancelled
    background   BIGINT NOT NULL, -- 1 where nobody waits for it
    streamed     BIGINT NOT NULL, -- 1 where its events were asked for
    created      BIGINT NOT NULL,
    ended        BIGINT,          -- NULL as long as it is queued or in progress
    expires      BIGINT NOT NULL,
    body         TEXT NOT NULL,   -- JSON object: what the answer repeats of the request
    outcome      TEXT NOT NULL,   -- JSON object: errors, tokens
    bytes        BIGINT NOT NULL  -- of all its items
);
CREATE INDEX responses_by_expiry ON responses (expires);
CREATE INDEX unfinished_responses ON responses (id) WHERE ended IS NULL;

CREATE TABLE response_items (
    response TEXT NOT NULL REFERENCES responses (id) ON DELETE CASCADE,
    output   BIGINT NOT NULL, -- 1 for what the model made, 0 for what it was given
    place    TEXT NOT NULL,   -- ten digits
    id       TEXT NOT NULL,
    body     TEXT NOT NULL,   -- JSON
    PRIMARY KEY (response, output, place)
);
CREATE INDEX response_items_by_id ON response_items (id);

CREATE TABLE response_events (
    response TEXT NOT NULL REFERENCES responses (id) ON DELETE CASCADE,
    last     BIGINT NOT NULL, -- number of the last of them
    body     TEXT NOT NULL,   -- events, each a line of JSON
    PRIMARY KEY (response, last)
);
