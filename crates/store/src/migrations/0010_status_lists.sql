CREATE TABLE status_head (
    one {integer} PRIMARY KEY,
    blocks {integer} NOT NULL
) {strict};
INSERT INTO status_head (one, blocks) VALUES (1, 0);
CREATE TABLE status_entry (
    list {integer} NOT NULL,
    place {integer} NOT NULL,
    token {blob} NOT NULL,
    kid TEXT NOT NULL,
    authority {blob} NOT NULL,
    expires {integer} NOT NULL,
    PRIMARY KEY (list, place)
) {clustered};
CREATE INDEX status_entry_expires ON status_entry (expires);
