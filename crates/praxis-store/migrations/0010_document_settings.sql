-- The settings that a document was cut with: where they change, documents are cut anew one by one. What is there was
-- cut with those of its base.
ALTER TABLE documents ADD COLUMN settings TEXT NOT NULL DEFAULT '';
UPDATE documents SET settings = (SELECT b.settings FROM bases b WHERE b.name = documents.base);

-- The section of its document that a chunk is from, in their order; NULL where that was not noted yet.
ALTER TABLE chunks ADD COLUMN section BIGINT;
