-- What is asked for at each request, on each page or each few seconds, without a walk over a table that grows for ever.

-- Lists of traces by caller, name and kind, and of those that did not end well.
DROP INDEX root_spans_by_time;
CREATE INDEX root_spans_by_time ON spans (started_ms, span_id, caller) WHERE parent_id IS NULL;
DROP INDEX root_spans_by_trace;
CREATE INDEX root_spans_by_trace ON spans (trace_id, span_id, name, kind, started_ms, caller) WHERE parent_id IS NULL;
CREATE INDEX unwell_root_spans ON spans (trace_id) WHERE parent_id IS NULL AND status <> '{"status":"ok"}';
CREATE INDEX feedback_by_thumb ON feedback (thumb, trace_id);

-- The chunks of a base in their order, which an index reads when it is opened, without their texts and vectors.
CREATE INDEX chunks_in_order ON chunks (document, ordinal, number, id);

-- How many files of a vector store are in which state, and how much they take; and its files in their order.
CREATE INDEX vector_store_files_by_status ON vector_store_files (store, status, place, usage_bytes);
CREATE INDEX vector_store_files_by_place ON vector_store_files (store, place);
CREATE INDEX file_batches_by_store ON file_batches (store);
CREATE INDEX open_batches_by_id ON batches (id) WHERE ended IS NULL;

-- Approvals by state, and the log by tool and outcome.
CREATE INDEX approvals_by_state ON approvals (state, id);
CREATE INDEX tool_calls_by_outcome ON tool_calls (outcome, number);
CREATE INDEX tool_calls_by_function ON tool_calls (function, number);

-- What one payer used, and attempts whose time may be up.
CREATE INDEX usage_by_payer ON usage_daily (kind, name, day);
CREATE INDEX running_attempts ON idempotency (lease_ms) WHERE lease_ms IS NOT NULL;
