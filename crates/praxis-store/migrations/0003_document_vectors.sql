-- The vector of a document's summary: little-endian f32; NULL until it is ingested anew.
ALTER TABLE documents ADD COLUMN vector BLOB;
