ALTER TABLE resource ADD COLUMN epoch {integer} NOT NULL DEFAULT 0;
ALTER TABLE resource ADD COLUMN sequence {integer} NOT NULL DEFAULT 0;
