CREATE TABLE browser_session (
    slot {integer} NOT NULL,
    id {blob} NOT NULL,
    secret {blob} NOT NULL,
    subject {blob} NOT NULL,
    issuer_session {blob},
    held {blob} NOT NULL,
    generation {integer} NOT NULL,
    fence {integer} NOT NULL,
    renewing {integer} NOT NULL,
    created {integer} NOT NULL,
    seen {integer} NOT NULL,
    idle_ends {integer} NOT NULL,
    absolute_ends {integer} NOT NULL,
    PRIMARY KEY (slot, id)
) {clustered};
CREATE INDEX browser_session_subject ON browser_session (slot, subject);
CREATE INDEX browser_session_issuer ON browser_session (issuer_session) WHERE issuer_session IS NOT NULL;
CREATE INDEX browser_session_idle ON browser_session (idle_ends);
