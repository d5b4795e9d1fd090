-- Use by what calls were for. Before, it was not told apart: all that was counted until now was reported as completions.
CREATE TABLE usage_by_work (
    day           BIGINT NOT NULL, -- days since the epoch, of UTC
    kind          TEXT NOT NULL,   -- who paid: key, user, tag or all
    name          TEXT NOT NULL,   -- of the key, user or tag; '' for all
    model         TEXT NOT NULL,   -- '' where none answered
    work          TEXT NOT NULL,   -- completion, embedding, moderation or tool
    requests      BIGINT NOT NULL,
    failed        BIGINT NOT NULL,
    input_tokens  BIGINT NOT NULL,
    cached_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    micros        BIGINT NOT NULL,
    PRIMARY KEY (day, kind, name, model, work)
);
INSERT INTO usage_by_work
    (day, kind, name, model, work, requests, failed, input_tokens, cached_tokens, output_tokens, micros)
SELECT day, kind, name, model, 'completion', requests, failed, input_tokens, cached_tokens, output_tokens, micros
FROM usage_daily;
DROP TABLE usage_daily;
ALTER TABLE usage_by_work RENAME TO usage_daily;
