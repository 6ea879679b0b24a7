CREATE TABLE outbox (
    number {serial},
    receiver TEXT NOT NULL,
    subject {blob} NOT NULL,
    jti {blob} NOT NULL,
    message TEXT NOT NULL,
    state {integer} NOT NULL,
    attempts {integer} NOT NULL,
    created {integer} NOT NULL,
    next_try {integer} NOT NULL,
    expires {integer} NOT NULL,
    reason TEXT NOT NULL
) {strict};
CREATE UNIQUE INDEX outbox_jti ON outbox (receiver, jti);
CREATE INDEX outbox_receiver_state ON outbox (receiver, state, number);
CREATE INDEX outbox_lane ON outbox (receiver, subject, number);
CREATE INDEX outbox_state ON outbox (state, number);
CREATE INDEX outbox_expires ON outbox (expires);

CREATE TABLE outbox_receiver (
    receiver TEXT PRIMARY KEY,
    fence {integer} NOT NULL,
    leased_until {integer} NOT NULL,
    next_try {integer} NOT NULL,
    failures {integer} NOT NULL,
    dropped {integer} NOT NULL
) {strict};

CREATE TABLE session_client (
    slot {integer} NOT NULL,
    session {blob} NOT NULL,
    client TEXT NOT NULL,
    expires {integer} NOT NULL,
    PRIMARY KEY (slot, session, client)
) {clustered};
CREATE INDEX session_client_expires ON session_client (expires);

CREATE TABLE signal_stream (
    id TEXT PRIMARY KEY,
    client TEXT NOT NULL,
    status {integer} NOT NULL,
    fetches {integer} NOT NULL,
    events {integer} NOT NULL,
    document TEXT NOT NULL,
    secret {blob},
    verified {integer} NOT NULL,
    created {integer} NOT NULL,
    updated {integer} NOT NULL
) {strict};
CREATE INDEX signal_stream_client ON signal_stream (client);

CREATE TABLE signal_subject (
    stream TEXT NOT NULL,
    subject {blob} NOT NULL,
    PRIMARY KEY (stream, subject)
) {clustered};
