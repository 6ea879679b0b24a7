CREATE INDEX {concurrently} IF NOT EXISTS grants_client_id ON grants (client, id);
