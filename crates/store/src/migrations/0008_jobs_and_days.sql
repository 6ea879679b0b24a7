CREATE TABLE job (
    name TEXT PRIMARY KEY,
    holder {integer} NOT NULL,
    token {integer} NOT NULL,
    until {integer} NOT NULL,
    high_water {integer} NOT NULL
) {strict};
INSERT INTO job (name, holder, token, until, high_water) VALUES ('purge', 0, 0, 0, 0);
{postgres} ALTER TABLE spent RENAME TO spent_rest;
{postgres} ALTER INDEX spent_pkey RENAME TO spent_rest_pkey;
{postgres} CREATE TABLE spent (LIKE spent_rest, PRIMARY KEY (day, slot, kind, key)) PARTITION BY LIST (day);
{postgres} ALTER TABLE spent ATTACH PARTITION spent_rest DEFAULT;
