-- What an issuer of credentials keeps. Times are milliseconds since 1970-01-01T00:00Z.

-- One row for each time that somebody asked for credentials, or a person issued some unasked. `state` is
-- waiting, issued or refused; `due` is when the holder is to be told next.
CREATE TABLE issuance (
    number  INTEGER PRIMARY KEY,
    id      TEXT    NOT NULL UNIQUE,
    holder  TEXT    NOT NULL,
    state   TEXT    NOT NULL,
    due     INTEGER,
    created INTEGER NOT NULL,
    body    TEXT    NOT NULL
) STRICT;
CREATE INDEX issuance_due ON issuance (due) WHERE due IS NOT NULL;
CREATE INDEX issuance_in_state ON issuance (state);
CREATE INDEX issuance_of_holder ON issuance (holder, created);

-- Every credential that was signed. No row is ever removed: its place in the status list would be given
-- again, and what was revoked would hold. `revoked` is when it was revoked.
CREATE TABLE issued (
    number  INTEGER PRIMARY KEY,
    id      TEXT    NOT NULL UNIQUE,
    issuance TEXT   NOT NULL,
    list    INTEGER NOT NULL,
    place   INTEGER NOT NULL,
    revoked INTEGER,
    body    TEXT    NOT NULL,
    UNIQUE (list, place)
) STRICT;
CREATE INDEX issued_by ON issued (issuance);
CREATE INDEX issued_revoked ON issued (list, place) WHERE revoked IS NOT NULL;

-- The status lists, and how their credentials are written.
CREATE TABLE status_list (
    number  INTEGER PRIMARY KEY,
    profile TEXT    NOT NULL,
    given   INTEGER NOT NULL
) STRICT;

-- Names of tokens by which credentials were asked for, so that none is good twice, not even after a
-- restart. `until` is when the token has ended, in seconds.
CREATE TABLE issuance_token (
    issuer TEXT    NOT NULL,
    jti    TEXT    NOT NULL,
    until  INTEGER NOT NULL,
    PRIMARY KEY (issuer, jti)
) STRICT, WITHOUT ROWID;
CREATE INDEX issuance_token_until ON issuance_token (until);
