CREATE TABLE trusted_issuer (
    issuer TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    trusted {integer} NOT NULL,
    created {integer} NOT NULL,
    updated {integer} NOT NULL
) {strict};
