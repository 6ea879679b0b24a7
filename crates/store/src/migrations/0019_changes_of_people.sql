ALTER TABLE feed_head ADD COLUMN people {integer} NOT NULL DEFAULT 0;
