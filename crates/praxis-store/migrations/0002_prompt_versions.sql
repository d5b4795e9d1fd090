-- Versions of functions that have been loaded here: what a trace's version was, also where there is
-- no git history, or none yet.
CREATE TABLE prompt_versions (
    function      TEXT NOT NULL,
    version       TEXT NOT NULL,
    sources       TEXT NOT NULL,   -- {file name: text} of the prompt and the partials that it uses
    first_seen_ms BIGINT NOT NULL,
    PRIMARY KEY (function, version)
);
