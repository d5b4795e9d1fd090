-- Who pays for what is embedded of a file, as JSON: who attached it last, with the limits of money that hold for that.
-- NULL: nobody, as for all that were attached before.
ALTER TABLE vector_store_files ADD COLUMN paid_by TEXT;
