-- What is known of documents beside their text, and who may read them.
ALTER TABLE documents ADD COLUMN own TEXT;                           -- JSON of what the file itself says; NULL until it is read
ALTER TABLE documents ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}'; -- JSON of all values
ALTER TABLE documents ADD COLUMN labels TEXT NOT NULL DEFAULT '';     -- JSON list of access labels; empty for none

-- A document is known by the generation that wrote it, which no other one of the base ever has. Also for
-- indexes that follow the store: what changed since a generation.
CREATE UNIQUE INDEX documents_by_generation ON documents (base, generation);
CREATE INDEX documents_by_labels ON documents (base, labels, generation);

-- Values to search by; a list has a row for each of its texts.
CREATE TABLE attributes (
    base     TEXT NOT NULL,
    document BIGINT NOT NULL,  -- its generation
    key      TEXT NOT NULL,
    kind     TEXT NOT NULL,    -- text, number, bool or date
    text     TEXT,             -- of a text
    number   DOUBLE PRECISION, -- of all others; dates are seconds since the epoch
    FOREIGN KEY (base, document) REFERENCES documents (base, generation) ON DELETE CASCADE
);
CREATE INDEX attributes_by_document ON attributes (base, document);
CREATE INDEX attributes_by_key ON attributes (base, key, kind);
CREATE INDEX attributes_by_text ON attributes (base, key, text, document) WHERE text IS NOT NULL;
CREATE INDEX attributes_by_number ON attributes (base, key, kind, number, document) WHERE number IS NOT NULL;

-- Grows with each change of metadata or labels that changes nothing else.
ALTER TABLE bases ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;

-- Of a root: who called, as JSON; NULL for who may read everything.
ALTER TABLE spans ADD COLUMN caller TEXT;
