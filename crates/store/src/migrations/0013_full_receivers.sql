ALTER TABLE outbox_receiver ADD COLUMN is_full {integer} NOT NULL DEFAULT 0;
