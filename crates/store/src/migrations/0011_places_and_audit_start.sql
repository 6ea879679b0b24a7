ALTER TABLE session ADD COLUMN place TEXT NOT NULL DEFAULT '';
CREATE TABLE audit_start (
    link {integer} PRIMARY KEY,
    hash {blob} NOT NULL,
    at {integer} NOT NULL,
    key TEXT NOT NULL,
    signature {blob} NOT NULL,
    node {integer} NOT NULL,
    counter {integer} NOT NULL
) {strict};
