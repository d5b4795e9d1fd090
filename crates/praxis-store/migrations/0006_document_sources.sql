-- Where a document comes from: the source of its base that lists it ('' for `[source]`), and the version that it has
-- there; NULL where size and time of modification tell.
ALTER TABLE documents ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN version TEXT;
