CREATE TABLE discharge (
    slot {integer} NOT NULL,
    id {blob} NOT NULL,
    secret {blob} NOT NULL,
    caveat {blob} NOT NULL,
    place TEXT NOT NULL,
    state {integer} NOT NULL,
    decided {integer} NOT NULL,
    expires {integer} NOT NULL,
    PRIMARY KEY (slot, id)
) {clustered};
CREATE INDEX discharge_expires ON discharge (expires);
