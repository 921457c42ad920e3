CREATE TABLE process (
    pid TEXT PRIMARY KEY,
    kind INTEGER NOT NULL,
    role TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    peer_pid TEXT,
    state TEXT,
    agreement TEXT,
    due INTEGER,
    created INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX process_peer ON process (kind, role, counterparty, peer_pid) WHERE peer_pid IS NOT NULL;
CREATE INDEX process_due ON process (due) WHERE due IS NOT NULL;
CREATE INDEX process_created ON process (kind, created, pid);
CREATE INDEX process_agreement ON process (agreement) WHERE agreement IS NOT NULL AND kind = 1;

CREATE TABLE contract (
    agreement TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    ended INTEGER,
    created INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX contract_created ON contract (created, agreement);

CREATE TABLE note (
    id INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    entry TEXT
) STRICT;
CREATE INDEX note_waiting ON note (id) WHERE entry IS NULL;

CREATE TABLE dataset (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    policy TEXT NOT NULL,
    body TEXT NOT NULL,
    rendered TEXT NOT NULL,
    source TEXT NOT NULL
) STRICT;
CREATE INDEX dataset_title ON dataset (title);
CREATE INDEX dataset_policy ON dataset (policy, number);

CREATE TABLE dataset_keyword (
    keyword TEXT NOT NULL,
    number INTEGER NOT NULL REFERENCES dataset (number) ON DELETE CASCADE,
    PRIMARY KEY (keyword, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX dataset_keyword_number ON dataset_keyword (number);

CREATE TABLE dataset_format (
    format TEXT NOT NULL,
    number INTEGER NOT NULL REFERENCES dataset (number) ON DELETE CASCADE,
    PRIMARY KEY (format, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX dataset_format_number ON dataset_format (number);

CREATE TABLE policy (
    policy TEXT PRIMARY KEY,
    offer TEXT NOT NULL,
    datasets INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE dataset_text USING fts5 (words, content = '');
