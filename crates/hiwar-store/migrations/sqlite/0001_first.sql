-- What a node keeps. Integers are signed 64-bit; times are milliseconds since 1970-01-01T00:00Z;
-- digests, keys and signatures are raw bytes. A column named after a table holds its `number`.

-- Long names stand once; rows elsewhere carry their numbers.
CREATE TABLE participant (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE dialogue    (number INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE key         (number INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE) STRICT;

-- Entries in order of arrival. `mark` finds an entry by its identifier through an index a third the
-- size of one over whole identifiers: it is the first eight bytes of `id` as a signed integer, most
-- significant byte first, or, where another entry has that mark, the next higher one that is free
-- (after the highest comes the lowest). Entries are never removed, so a search goes from the first
-- eight bytes upwards until it meets the identifier or a mark that nobody has. `via` is empty for what was made here, `receipt` for what this node
-- has not receipted. The large columns come last, so that the others are read without them.
CREATE TABLE entry (
    seq       INTEGER PRIMARY KEY,
    id        BLOB    NOT NULL,
    mark      INTEGER NOT NULL UNIQUE,
    dialogue  INTEGER NOT NULL REFERENCES dialogue,
    log       INTEGER NOT NULL,
    leaf      INTEGER NOT NULL,
    received  INTEGER NOT NULL,
    via       INTEGER REFERENCES participant,
    receipt   INTEGER,
    key       INTEGER NOT NULL REFERENCES key,
    signature BLOB    NOT NULL,
    content   BLOB    NOT NULL
) STRICT;
-- With the row's position behind it, as in every index: dialogue, seq.
CREATE INDEX entry_of_dialogue ON entry (dialogue);

-- What the leaves of each log say, in words.
CREATE TABLE leaf (
    log      INTEGER NOT NULL,
    position INTEGER NOT NULL,
    data     TEXT    NOT NULL,
    PRIMARY KEY (log, position)
) WITHOUT ROWID, STRICT;

-- Complete tiles: 256 hashes of 32 bytes.
CREATE TABLE tile (
    log      INTEGER NOT NULL,
    level    INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hashes   BLOB    NOT NULL,
    PRIMARY KEY (log, level, position)
) WITHOUT ROWID, STRICT;

-- Entries that wait for a peer, and nothing else: settled ones leave.
CREATE TABLE queue (
    participant INTEGER NOT NULL REFERENCES participant,
    seq         INTEGER NOT NULL REFERENCES entry,
    PRIMARY KEY (participant, seq)
) WITHOUT ROWID, STRICT;

-- What became of entries on their way. Outcome 1: receipted, with the receipt; 2: refused, with
-- code and detail; 3: expired. An entry may be in the queue again after that.
CREATE TABLE delivery (
    seq         INTEGER NOT NULL REFERENCES entry,
    participant INTEGER NOT NULL REFERENCES participant,
    outcome     INTEGER NOT NULL,
    receipt     INTEGER,
    code        TEXT,
    detail      TEXT,
    PRIMARY KEY (seq, participant)
) WITHOUT ROWID, STRICT;

-- Receipts. Direction 1: issued by this node; 2: received. Each item is one byte for its kind
-- (1 entry, 2 attachment), 32 bytes of digest and 8 bytes of leaf, most significant first.
CREATE TABLE receipt (
    number      INTEGER PRIMARY KEY,
    direction   INTEGER NOT NULL,
    participant INTEGER NOT NULL REFERENCES participant,
    time        INTEGER NOT NULL,
    note        TEXT    NOT NULL,
    items       BLOB    NOT NULL
) STRICT;

-- Records as JSON; `v` is the version of their form.
CREATE TABLE own             (number INTEGER PRIMARY KEY CHECK (number = 1), v INTEGER NOT NULL, record TEXT NOT NULL) STRICT;
CREATE TABLE peer_record     (participant INTEGER PRIMARY KEY REFERENCES participant, v INTEGER NOT NULL, record TEXT NOT NULL) STRICT;
CREATE TABLE dialogue_record (dialogue INTEGER PRIMARY KEY REFERENCES dialogue, v INTEGER NOT NULL, record TEXT NOT NULL) STRICT;
CREATE TABLE alarm           (number INTEGER PRIMARY KEY, v INTEGER NOT NULL, record TEXT NOT NULL) STRICT;

-- Files that entries announce. `participant` is who announced it, 0 for this node; `held` is 1 once
-- the file is here.
CREATE TABLE attachment_wanted (
    sha256      BLOB    NOT NULL,
    dialogue    INTEGER NOT NULL REFERENCES dialogue,
    participant INTEGER NOT NULL,
    size        INTEGER NOT NULL,
    held        INTEGER NOT NULL,
    PRIMARY KEY (sha256, dialogue, participant)
) WITHOUT ROWID, STRICT;
CREATE INDEX attachment_missing ON attachment_wanted (sha256) WHERE held = 0;

-- Files that are here. `log` is the log its leaf is in.
CREATE TABLE attachment_stored (
    sha256 BLOB PRIMARY KEY,
    log    INTEGER,
    leaf   INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

-- Receipts that peers gave for files.
CREATE TABLE attachment_receipt (
    sha256      BLOB    NOT NULL,
    participant INTEGER NOT NULL REFERENCES participant,
    receipt     INTEGER NOT NULL REFERENCES receipt,
    PRIMARY KEY (sha256, participant, receipt)
) WITHOUT ROWID, STRICT;
