CREATE TABLE device_authorization (
    slot {integer} NOT NULL,
    id {blob} NOT NULL,
    secret {blob} NOT NULL,
    user_code {blob} NOT NULL,
    request {blob} NOT NULL,
    state {integer} NOT NULL,
    allowed {blob},
    expires {integer} NOT NULL,
    PRIMARY KEY (slot, id)
) {clustered};
CREATE UNIQUE INDEX device_authorization_user_code ON device_authorization (slot, user_code);
CREATE INDEX device_authorization_expires ON device_authorization (expires);
