-- What a chat model wrote to be found by: indexed before a chunk's text, never shown as part of it. '' where nothing was.
ALTER TABLE chunks ADD COLUMN context TEXT NOT NULL DEFAULT '';

-- The same for documents on their way into the store, so that no model is asked twice. What no document uses any more
-- goes when its document is written, or at the end of an ingest.
CREATE TABLE written_contexts (
    base   TEXT NOT NULL REFERENCES bases (name) ON DELETE CASCADE,
    uri    TEXT NOT NULL,             -- its document
    digest TEXT NOT NULL,             -- of all that the model was asked
    text   TEXT NOT NULL,             -- '' where the answer could not be used
    PRIMARY KEY (base, uri, digest)
);
