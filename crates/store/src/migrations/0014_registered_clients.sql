CREATE TABLE registered_client (
    id TEXT PRIMARY KEY,
    origin TEXT NOT NULL,
    token {blob},
    registered {integer} NOT NULL
) {clustered};
CREATE INDEX registered_client_registered ON registered_client (registered);
