-- What a node keeps for procedures beside the signed log. Times are milliseconds since 1970.

-- Acts that a second desk must release before they leave.
CREATE TABLE draft (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    dialogue   TEXT NOT NULL,
    -- The act as the local API takes it.
    action     TEXT NOT NULL,
    -- 32 hexadecimal digits; the entry bears them, so that one that was made before a crash is found again.
    nonce      TEXT NOT NULL UNIQUE,
    desk       TEXT NOT NULL,
    -- Whose token was used: the operator's or the desk's own.
    operator   INTEGER NOT NULL CHECK (operator IN (0, 1)),
    drafted    INTEGER NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('waiting', 'released', 'refused')),
    decided_by TEXT,
    decided    INTEGER,
    note       TEXT,
    entry      TEXT,
    CHECK ((state = 'waiting') = (decided IS NULL)),
    CHECK ((state = 'released') = (entry IS NOT NULL))
) STRICT;

CREATE INDEX draft_waiting ON draft (dialogue, id) WHERE state = 'waiting';

-- Stages of duties that were told: reminders, the end of the term, escalations. A key is told once.
CREATE TABLE stage (
    key      TEXT PRIMARY KEY,
    dialogue TEXT NOT NULL,
    -- When it was to be told, and when it was.
    at       INTEGER NOT NULL,
    told     INTEGER NOT NULL,
    content  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Dialogues with an arrangement, whose duties are watched.
CREATE TABLE watched (dialogue TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- The position in the log of entries up to which arrangements were looked for: one row.
CREATE TABLE scanned (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL) STRICT;
INSERT INTO scanned VALUES (1, 0);

CREATE INDEX stage_told ON stage (told, key);
