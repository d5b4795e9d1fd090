-- Files and vector stores of OpenAI's API. Ids begin with what they are of and sort by time; times are seconds
-- since the epoch. A vector store is a base of the same name.
CREATE TABLE files (
    id       TEXT PRIMARY KEY,
    hash     TEXT NOT NULL,   -- BLAKE3 of the bytes, which lie on the disk by this name
    bytes    BIGINT NOT NULL,
    filename TEXT NOT NULL,
    purpose  TEXT NOT NULL,
    created  BIGINT NOT NULL,
    expires  BIGINT,
    owner    TEXT,            -- name of the key that sent it; NULL for one that may read everything
    labels   TEXT NOT NULL    -- JSON list of access labels; empty for none
);
CREATE INDEX files_by_hash ON files (hash);
CREATE INDEX files_by_expiry ON files (expires) WHERE expires IS NOT NULL;

CREATE TABLE vector_stores (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    description  TEXT,
    metadata     TEXT NOT NULL,   -- JSON object of texts
    expires_days BIGINT,          -- after it was last active
    created      BIGINT NOT NULL,
    active       BIGINT NOT NULL, -- when it was last used
    state        TEXT NOT NULL,   -- live, expired or deleted: the latter two are yet to be emptied
    owner        TEXT,
    labels       TEXT NOT NULL
);

CREATE TABLE vector_store_files (
    store       TEXT NOT NULL REFERENCES vector_stores (id) ON DELETE CASCADE,
    file        TEXT NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    place       TEXT NOT NULL UNIQUE, -- its turn: ids that sort by time
    document    TEXT NOT NULL,        -- id of its document in the base, once it is there
    status      TEXT NOT NULL,        -- in_progress, completed, failed or cancelled
    error_code  TEXT,
    error       TEXT,
    attributes  TEXT NOT NULL,        -- JSON object
    max_tokens  BIGINT,               -- of a chunk; NULL as bases have it
    overlap     BIGINT,
    usage_bytes BIGINT NOT NULL,
    created     BIGINT NOT NULL,
    revision    BIGINT NOT NULL,      -- grows with each change that was asked for
    attempts    BIGINT NOT NULL,      -- times that it was begun since
    PRIMARY KEY (store, file)
);
CREATE INDEX vector_store_files_by_file ON vector_store_files (file);
CREATE INDEX waiting_files ON vector_store_files (store, place) WHERE status = 'in_progress';

CREATE TABLE file_batches (
    id        TEXT PRIMARY KEY,
    store     TEXT NOT NULL REFERENCES vector_stores (id) ON DELETE CASCADE,
    created   BIGINT NOT NULL,
    cancelled BIGINT NOT NULL -- 1 where it was
);

CREATE TABLE file_batch_files (
    batch TEXT NOT NULL REFERENCES file_batches (id) ON DELETE CASCADE,
    store TEXT NOT NULL,
    file  TEXT NOT NULL,
    PRIMARY KEY (batch, file),
    FOREIGN KEY (store, file) REFERENCES vector_store_files (store, file) ON DELETE CASCADE
);
CREATE INDEX file_batch_files_by_file ON file_batch_files (store, file);
