-- Vectors of another embedder, while a base moves to it. When none is missing, they take the place of the
-- others in one transaction.
ALTER TABLE bases ADD COLUMN embedder_name TEXT; -- the model's name, where the base has moved to it

CREATE TABLE moves (
    base     TEXT PRIMARY KEY REFERENCES bases (name) ON DELETE CASCADE,
    embedder TEXT NOT NULL    -- identity of the vectors to come
);

CREATE TABLE moved_chunks (
    chunk  TEXT PRIMARY KEY REFERENCES chunks (id) ON DELETE CASCADE,
    vector BLOB NOT NULL
);

CREATE TABLE moved_documents (
    document TEXT PRIMARY KEY REFERENCES documents (id) ON DELETE CASCADE,
    vector   BLOB NOT NULL
);
