CREATE TABLE audit_node (
    node {integer} PRIMARY KEY,
    next {integer} NOT NULL,
    seen {integer} NOT NULL
) {strict};

CREATE TABLE audit_link (
    link {integer} PRIMARY KEY,
    node {integer} NOT NULL,
    counter {integer} NOT NULL,
    hash {blob} NOT NULL
) {strict};
CREATE UNIQUE INDEX audit_link_record ON audit_link (node, counter);

CREATE TABLE audit_head (
    one {integer} PRIMARY KEY,
    link {integer} NOT NULL,
    hash {blob}
) {strict};
INSERT INTO audit_head (one, link, hash) VALUES (1, 0, NULL);

CREATE TABLE audit_anchor (
    hour {integer} PRIMARY KEY,
    link {integer} NOT NULL,
    hash {blob} NOT NULL,
    at {integer} NOT NULL,
    key TEXT NOT NULL,
    signature {blob} NOT NULL
) {strict};

CREATE TABLE schema_fill (
    name TEXT PRIMARY KEY,
    after {integer} NOT NULL
) {strict};
