-- The knowledge graph of a base: what a chat model read in its chunks. All of it hangs on chunks, so that
-- what goes takes its part along.
CREATE TABLE graphs (
    base     TEXT PRIMARY KEY REFERENCES bases (name) ON DELETE CASCADE,
    revision BIGINT NOT NULL          -- grows when readers have something new to see
);

CREATE TABLE graph_extractions (
    chunk         TEXT PRIMARY KEY REFERENCES chunks (id) ON DELETE CASCADE,
    method        TEXT NOT NULL,      -- digest of model, instructions and vocabulary
    model         TEXT NOT NULL,
    error         TEXT,               -- why the model's answer could not be read
    dropped       BIGINT NOT NULL,    -- triples that the chunk does not bear out
    input_tokens  BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL
);

-- A name of one type. Which names are one entity is told by the tables below.
CREATE TABLE graph_entities (
    id       TEXT PRIMARY KEY,
    base     TEXT NOT NULL REFERENCES bases (name) ON DELETE CASCADE,
    kind     TEXT NOT NULL,           -- its type
    name     TEXT NOT NULL,           -- normalized
    embedder TEXT,                    -- identity of the vector
    vector   BLOB,                    -- little-endian f32
    UNIQUE (base, kind, name)
);

CREATE TABLE graph_mentions (
    chunk  TEXT NOT NULL REFERENCES chunks (id) ON DELETE CASCADE,
    entity TEXT NOT NULL REFERENCES graph_entities (id) ON DELETE CASCADE,
    name   TEXT NOT NULL,             -- as it is written there
    PRIMARY KEY (chunk, entity)
);
CREATE INDEX graph_mentions_by_entity ON graph_mentions (entity);

-- A triple as one chunk states it: triple and provenance in one row, so that no triple is without.
CREATE TABLE graph_triples (
    chunk    TEXT NOT NULL REFERENCES chunks (id) ON DELETE CASCADE,
    subject  TEXT NOT NULL REFERENCES graph_entities (id) ON DELETE CASCADE,
    relation TEXT NOT NULL,
    object   TEXT NOT NULL REFERENCES graph_entities (id) ON DELETE CASCADE,
    start    BIGINT NOT NULL,         -- the quote: characters of documents.text
    "end"    BIGINT NOT NULL,
    PRIMARY KEY (chunk, subject, relation, object)
);
CREATE INDEX graph_triples_by_subject ON graph_triples (subject);
CREATE INDEX graph_triples_by_object ON graph_triples (object);

-- Names of one type that are near enough to be one entity; made anew by each build.
CREATE TABLE graph_aliases (
    one    TEXT NOT NULL REFERENCES graph_entities (id) ON DELETE CASCADE,
    other  TEXT NOT NULL REFERENCES graph_entities (id) ON DELETE CASCADE,
    cosine DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (one, other)
);
CREATE INDEX graph_aliases_by_other ON graph_aliases (other);

-- Names that a person said are one entity. By name, so that they outlast what they were said of.
CREATE TABLE graph_merges (
    base  TEXT NOT NULL REFERENCES bases (name) ON DELETE CASCADE,
    kind  TEXT NOT NULL,
    one   TEXT NOT NULL,              -- normalized; the lesser of both
    other TEXT NOT NULL,
    PRIMARY KEY (base, kind, one, other)
);
