-- What people say of calls. Times are milliseconds since the epoch.
CREATE TABLE feedback (
    id         TEXT PRIMARY KEY, -- ids sort by time
    trace_id   TEXT NOT NULL,    -- the call that it is about
    caller     TEXT,             -- JSON of the key that brought it; NULL for who may read everything and has no name
    said_by    TEXT,             -- who said it, as the client calls them
    thumb      TEXT,             -- up or down
    score      DOUBLE PRECISION, -- from 0 to 1
    comment    TEXT,
    created_ms BIGINT NOT NULL
);
CREATE INDEX feedback_by_trace ON feedback (trace_id, id);

-- Lists of traces are read by id, which sorts by time.
CREATE INDEX root_spans_by_trace ON spans (trace_id) WHERE parent_id IS NULL;

-- Which process makes a response that has not ended, or will, and until when it counts as alive, in seconds since the
-- epoch. What waits can be made by another, by the request; once it is begun, it cannot.
ALTER TABLE responses ADD COLUMN owner TEXT;
ALTER TABLE responses ADD COLUMN lease BIGINT NOT NULL DEFAULT 0;
ALTER TABLE responses ADD COLUMN request TEXT; -- as long as it waits
