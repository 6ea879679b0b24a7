CREATE TABLE feed_head (
    one {integer} PRIMARY KEY,
    epoch {integer} NOT NULL,
    sequence {integer} NOT NULL,
    time {integer} NOT NULL,
    configuration {integer} NOT NULL
) {strict};
INSERT INTO feed_head (one, epoch, sequence, time, configuration) VALUES (1, 1, 0, 0, 1);

CREATE TABLE revocation (
    kind {integer} NOT NULL,
    target {blob} NOT NULL,
    epoch {integer} NOT NULL,
    sequence {integer} NOT NULL,
    expires {integer} NOT NULL,
    at {integer} NOT NULL,
    client TEXT,
    subject TEXT,
    PRIMARY KEY (kind, target)
) {clustered};
CREATE UNIQUE INDEX revocation_position ON revocation (epoch, sequence);
CREATE INDEX revocation_expires ON revocation (expires);
CREATE INDEX revocation_holder ON revocation (client, subject) WHERE client IS NOT NULL;

CREATE TABLE client (
    id TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    enabled {integer} NOT NULL,
    created {integer} NOT NULL,
    updated {integer} NOT NULL
) {strict};

CREATE TABLE client_secret (
    id {serial},
    client TEXT NOT NULL,
    digest {blob} NOT NULL,
    sealed {blob},
    created {integer} NOT NULL,
    expires {integer}
) {strict};
CREATE INDEX client_secret_client ON client_secret (client);

CREATE TABLE resource (
    identifier TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    created {integer} NOT NULL,
    updated {integer} NOT NULL
) {strict};

CREATE TABLE resource_name (
    name TEXT PRIMARY KEY,
    identifier TEXT NOT NULL
) {strict};
CREATE INDEX resource_name_identifier ON resource_name (identifier);

CREATE TABLE organization (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    enabled {integer} NOT NULL,
    created {integer} NOT NULL,
    updated {integer} NOT NULL
) {strict};

CREATE TABLE membership (
    organization TEXT NOT NULL,
    person {blob} NOT NULL,
    roles TEXT NOT NULL,
    PRIMARY KEY (organization, person)
) {clustered};
CREATE INDEX membership_person ON membership (person);

CREATE TABLE person (
    id {blob} PRIMARY KEY,
    username TEXT NOT NULL,
    document TEXT NOT NULL,
    password TEXT,
    enabled {integer} NOT NULL,
    created {integer} NOT NULL,
    updated {integer} NOT NULL
) {strict};

CREATE TABLE login_name (
    name TEXT PRIMARY KEY,
    person {blob} NOT NULL
) {strict};
CREATE INDEX login_name_person ON login_name (person);

CREATE TABLE session (
    slot {integer} NOT NULL,
    id {blob} NOT NULL,
    person {blob} NOT NULL,
    secret {blob} NOT NULL,
    authenticated {integer} NOT NULL,
    created {integer} NOT NULL,
    seen {integer} NOT NULL,
    idle_ends {integer} NOT NULL,
    absolute_ends {integer} NOT NULL,
    acr TEXT NOT NULL,
    amr TEXT NOT NULL,
    device TEXT NOT NULL,
    epoch {integer} NOT NULL,
    sequence {integer} NOT NULL,
    ended {integer},
    PRIMARY KEY (slot, id)
) {clustered};
CREATE INDEX session_person ON session (slot, person);
CREATE INDEX session_absolute ON session (absolute_ends);
CREATE INDEX session_ended ON session (ended) WHERE ended IS NOT NULL;

CREATE TABLE grants (
    slot {integer} NOT NULL,
    id {blob} NOT NULL,
    person {blob} NOT NULL,
    client TEXT NOT NULL,
    organization TEXT NOT NULL,
    agreement TEXT NOT NULL,
    created {integer} NOT NULL,
    updated {integer} NOT NULL,
    epoch {integer} NOT NULL,
    sequence {integer} NOT NULL,
    withdrawn {integer},
    PRIMARY KEY (slot, id)
) {clustered};
CREATE UNIQUE INDEX grants_live ON grants (slot, person, client, organization) WHERE withdrawn IS NULL;
CREATE INDEX grants_client ON grants (client);
CREATE INDEX grants_organization ON grants (organization) WHERE organization <> '';
CREATE INDEX grants_withdrawn ON grants (withdrawn) WHERE withdrawn IS NOT NULL;

CREATE TABLE family (
    slot {integer} NOT NULL,
    id {blob} NOT NULL,
    generation {integer} NOT NULL,
    current_secret {blob} NOT NULL,
    previous_secret {blob},
    working_key {integer} NOT NULL,
    rotated {integer} NOT NULL,
    idle_ends {integer} NOT NULL,
    absolute_ends {integer} NOT NULL,
    ended {integer},
    PRIMARY KEY (slot, id)
) {hot};
CREATE INDEX family_absolute ON family (absolute_ends);
CREATE INDEX family_ended ON family (ended) WHERE ended IS NOT NULL;

CREATE TABLE family_authority (
    slot {integer} NOT NULL,
    id {blob} NOT NULL,
    grant_id {blob} NOT NULL,
    session_id {blob},
    client TEXT NOT NULL,
    person {blob} NOT NULL,
    created {integer} NOT NULL,
    epoch {integer} NOT NULL,
    sequence {integer} NOT NULL,
    document {blob} NOT NULL,
    PRIMARY KEY (slot, id)
) {clustered};
CREATE INDEX family_authority_grant ON family_authority (slot, grant_id);
CREATE INDEX family_authority_session ON family_authority (slot, session_id) WHERE session_id IS NOT NULL;

CREATE TABLE spent (
    day {integer} NOT NULL,
    slot {integer} NOT NULL,
    kind {integer} NOT NULL,
    key {blob} NOT NULL,
    again {integer} NOT NULL,
    PRIMARY KEY (day, slot, kind, key)
) {clustered};

CREATE TABLE working_key (
    id TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    number {integer} NOT NULL,
    algorithm TEXT,
    state TEXT NOT NULL,
    sealed {blob} NOT NULL,
    public_part {blob},
    created {integer} NOT NULL,
    activated {integer},
    retires {integer},
    UNIQUE (purpose, number)
) {strict};

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value {blob} NOT NULL
) {strict};

CREATE TABLE attempt (
    name {blob} PRIMARY KEY,
    tries {integer} NOT NULL,
    ends {integer} NOT NULL
) {clustered};
CREATE INDEX attempt_ends ON attempt (ends);

CREATE TABLE audit (
    node {integer} NOT NULL,
    counter {integer} NOT NULL,
    at {integer} NOT NULL,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    subject TEXT,
    client TEXT,
    detail TEXT NOT NULL,
    request TEXT NOT NULL,
    PRIMARY KEY (node, counter)
) {clustered};
CREATE INDEX audit_at ON audit (at, node, counter);
