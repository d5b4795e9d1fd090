-- A small number for each chunk, by which an index of vectors knows it, and those that went since then.
ALTER TABLE chunks ADD COLUMN number BIGINT;
UPDATE chunks SET number = rowid;
CREATE UNIQUE INDEX chunks_by_number ON chunks (number);

CREATE TABLE removed_chunks (
    base       TEXT NOT NULL,
    number     BIGINT NOT NULL,
    generation BIGINT NOT NULL, -- of the base, that removed it
    PRIMARY KEY (base, number)
);

CREATE INDEX removed_chunks_by_number ON removed_chunks (number);

-- Tells this store from others, so that no index of another one is taken for its own.
CREATE TABLE store (id TEXT NOT NULL);
INSERT INTO store (id) VALUES (lower(hex(randomblob(16))));
