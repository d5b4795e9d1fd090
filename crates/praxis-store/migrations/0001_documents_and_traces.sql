-- One portable dialect: epoch integers, JSON as TEXT, ON CONFLICT and RETURNING.

CREATE TABLE bases (
    name       TEXT PRIMARY KEY,
    embedder   TEXT NOT NULL,   -- identity of the vectors: model@revision
    settings   TEXT NOT NULL,   -- digest of the segmentation settings
    generation BIGINT NOT NULL  -- grows with each change of a document
);

CREATE TABLE documents (
    id         TEXT PRIMARY KEY,
    base       TEXT NOT NULL REFERENCES bases (name) ON DELETE CASCADE,
    uri        TEXT NOT NULL,
    title      TEXT NOT NULL,
    text       TEXT NOT NULL,
    hash       TEXT NOT NULL,
    size       BIGINT NOT NULL,
    modified   BIGINT NOT NULL, -- nanoseconds since the epoch
    error      TEXT,            -- why it could not be read; then it has no chunks
    hint       TEXT,
    generation BIGINT NOT NULL,
    UNIQUE (base, uri)
);

CREATE TABLE chunks (
    id       TEXT PRIMARY KEY,
    document TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    ordinal  BIGINT NOT NULL,
    headings TEXT NOT NULL,
    page     BIGINT,
    start    BIGINT NOT NULL,   -- characters of documents.text
    "end"    BIGINT NOT NULL,
    text     TEXT NOT NULL,     -- those characters, so that no search reads whole documents
    vector   BLOB NOT NULL,     -- little-endian f32
    UNIQUE (document, ordinal)
);

CREATE TABLE spans (
    span_id        TEXT PRIMARY KEY,
    trace_id       TEXT NOT NULL,
    parent_id      TEXT,
    kind           TEXT NOT NULL,
    name           TEXT NOT NULL,
    started_ms     BIGINT NOT NULL,
    duration_us    BIGINT NOT NULL,
    first_token_us BIGINT,
    input          TEXT NOT NULL,
    output         TEXT NOT NULL,
    input_tokens   BIGINT NOT NULL,
    cached_tokens  BIGINT NOT NULL,
    output_tokens  BIGINT NOT NULL,
    cost_micros    BIGINT NOT NULL,
    status         TEXT NOT NULL
);

CREATE INDEX spans_by_trace ON spans (trace_id);
CREATE INDEX root_spans_by_time ON spans (started_ms) WHERE parent_id IS NULL;
