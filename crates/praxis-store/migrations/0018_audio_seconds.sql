-- Seconds of audio that was listened to. Before, transcripts were not counted.
ALTER TABLE usage_daily ADD COLUMN audio_seconds BIGINT NOT NULL DEFAULT 0;
