CREATE TABLE api_key (
    slot {integer} NOT NULL,
    id {blob} NOT NULL,
    client TEXT NOT NULL,
    person {blob},
    organization TEXT NOT NULL,
    document TEXT NOT NULL,
    digest {blob} NOT NULL,
    mark {blob} NOT NULL,
    enabled {integer} NOT NULL,
    created {integer} NOT NULL,
    updated {integer} NOT NULL,
    expires {integer},
    revoked {integer},
    last_used {integer},
    replaced_by {blob},
    epoch {integer} NOT NULL,
    sequence {integer} NOT NULL,
    PRIMARY KEY (slot, id)
) {clustered};
CREATE INDEX api_key_person ON api_key (slot, person);
CREATE INDEX api_key_client ON api_key (client);
CREATE INDEX api_key_organization ON api_key (organization);
CREATE INDEX api_key_expires ON api_key (expires);
CREATE INDEX api_key_revoked ON api_key (revoked);
CREATE TABLE api_key_digest (
    digest {blob} PRIMARY KEY,
    slot {integer} NOT NULL,
    id {blob} NOT NULL
) {clustered};
CREATE INDEX api_key_digest_of ON api_key_digest (slot, id);
