-- What a connector keeps. Times are milliseconds since 1970-01-01T00:00Z; `body` is the whole record as
-- JSON, and the columns beside it are what records are found by.

-- Negotiations and transfers, numbered in the order in which they began. `kind` is negotiation or
-- transfer, `role` provider or consumer. `final` is 1 when nothing can follow.
CREATE TABLE process (
    number       INTEGER PRIMARY KEY,
    pid          TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    role         TEXT    NOT NULL,
    counterparty TEXT    NOT NULL,
    peer_pid     TEXT,
    state        TEXT,
    final        INTEGER NOT NULL,
    agreement    TEXT,
    dataset      TEXT    NOT NULL,
    due          INTEGER,
    created      INTEGER NOT NULL,
    changed      INTEGER NOT NULL,
    body         TEXT    NOT NULL,
    UNIQUE (kind, pid)
) STRICT;
CREATE UNIQUE INDEX process_of_peer ON process (kind, role, counterparty, peer_pid)
    WHERE peer_pid IS NOT NULL;
CREATE INDEX process_due ON process (due) WHERE due IS NOT NULL;
-- With the number behind them, as in every index: lists are read in its order.
CREATE INDEX process_of_kind ON process (kind);
CREATE INDEX process_of_counterparty ON process (kind, counterparty);
CREATE INDEX process_in_state ON process (kind, state);
CREATE INDEX transfer_running ON process (agreement) WHERE kind = 'transfer' AND final = 0;

-- Agreements, numbered in the order in which they came. `ended` is when one was ended.
CREATE TABLE contract (
    number       INTEGER PRIMARY KEY,
    agreement    TEXT    NOT NULL UNIQUE,
    role         TEXT    NOT NULL,
    counterparty TEXT    NOT NULL,
    dataset      TEXT    NOT NULL,
    agreed       INTEGER NOT NULL,
    ended        INTEGER,
    body         TEXT    NOT NULL
) STRICT;
CREATE INDEX contract_of_counterparty ON contract (counterparty);

-- What belongs into the signed log; `entry` names its entry there once it is written.
CREATE TABLE note (
    id    INTEGER PRIMARY KEY,
    body  TEXT NOT NULL,
    entry TEXT
) STRICT;
CREATE INDEX note_waiting ON note (id) WHERE entry IS NULL;
CREATE INDEX note_written ON note (body) WHERE entry IS NOT NULL;

-- The different terms that datasets are offered under; those that no dataset has any more leave.
CREATE TABLE policy (
    number INTEGER PRIMARY KEY,
    key    TEXT NOT NULL UNIQUE,
    offer  TEXT NOT NULL
) STRICT;

-- Datasets in the order in which a catalog shows them: that of their numbers, none of which is ever
-- given twice. The row is narrow, so that looking through many of them reads few pages; the long
-- texts are in `dataset_content`.
CREATE TABLE dataset (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id     TEXT    NOT NULL UNIQUE,
    title  TEXT    NOT NULL,
    policy INTEGER NOT NULL REFERENCES policy
) STRICT;
CREATE INDEX dataset_title ON dataset (title);
CREATE INDEX dataset_policy ON dataset (policy);

-- `rendered` is the dataset as it stands in a catalog; `body` is the record.
CREATE TABLE dataset_content (
    number   INTEGER PRIMARY KEY REFERENCES dataset,
    rendered TEXT NOT NULL,
    body     TEXT NOT NULL
) STRICT;

-- Where a dataset's content is. It may hold secrets.
CREATE TABLE source (
    number INTEGER PRIMARY KEY REFERENCES dataset,
    body   TEXT NOT NULL
) STRICT;

CREATE TABLE dataset_keyword (
    keyword TEXT    NOT NULL,
    dataset INTEGER NOT NULL REFERENCES dataset,
    PRIMARY KEY (keyword, dataset)
) WITHOUT ROWID, STRICT;
CREATE INDEX keyword_of_dataset ON dataset_keyword (dataset);

CREATE TABLE dataset_format (
    format  TEXT    NOT NULL,
    dataset INTEGER NOT NULL REFERENCES dataset,
    PRIMARY KEY (format, dataset)
) WITHOUT ROWID, STRICT;
CREATE INDEX format_of_dataset ON dataset_format (dataset);

-- Words of title, description and keywords; the text itself is not kept a second time.
CREATE VIRTUAL TABLE dataset_text USING fts5 (
    words, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2');
