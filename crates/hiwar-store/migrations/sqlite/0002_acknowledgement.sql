-- Who has seen to an alarm, and when. `desk` is empty when it was the operator.
CREATE TABLE acknowledgement (
    alarm INTEGER PRIMARY KEY REFERENCES alarm,
    time  INTEGER NOT NULL,
    desk  TEXT,
    note  TEXT    NOT NULL
) STRICT;
