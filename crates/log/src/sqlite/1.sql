-- Schema 1. A schema that was released is never changed; the next is a file of its own.

CREATE TABLE log (
    id     INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE,
    -- The oldest event that is kept. Frames that end before it are forgotten, though they may still lie here.
    first  INTEGER NOT NULL DEFAULT 1,
    -- The head when the log was last trimmed: later frames say more. So an append need not write this row.
    head   INTEGER NOT NULL DEFAULT 0,
    -- The place in the tail where the log was removed.
    gone   INTEGER,
    -- Whether forgotten frames lie here.
    litter INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX log_gone ON log (gone) WHERE gone IS NOT NULL;
CREATE INDEX log_litter ON log (id) WHERE litter;

-- AUTOINCREMENT: the place of a commit never comes twice, also when the last frame is deleted.
CREATE TABLE frame (
    pos   INTEGER PRIMARY KEY AUTOINCREMENT,
    log   INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    count INTEGER NOT NULL,
    quiet INTEGER NOT NULL,
    id    BLOB NOT NULL,
    -- Which rows the commit wrote or removed: JSON [[kind, key, removed], …]. NULL: none.
    rows  TEXT,
    -- The lines, byte for byte. The last column, so that the others are read without it.
    body  TEXT NOT NULL
) STRICT;

-- So that it is there to be raised also by a commit without a frame: a removal.
INSERT INTO sqlite_sequence (name, seq) VALUES ('frame', 0);

-- With `quiet`, so that loading a state passes quiet frames over without looking at them.
CREATE UNIQUE INDEX frame_log ON frame (log, last, quiet);

CREATE TABLE row (
    id     INTEGER PRIMARY KEY,
    kind   INTEGER NOT NULL,
    key    TEXT NOT NULL,
    -- The log and the commit that wrote it last.
    log    INTEGER NOT NULL,
    pos    INTEGER NOT NULL,
    rank0  INTEGER NOT NULL,
    rank1  INTEGER NOT NULL,
    due    INTEGER,
    -- JSON ["name=value", …], as they were given.
    facets TEXT NOT NULL,
    body   TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX row_key ON row (kind, key);
-- In the order of the lists, so that a page costs a page.
CREATE INDEX row_rank ON row (kind, rank0, rank1, key);
CREATE INDEX row_due ON row (kind, due) WHERE due IS NOT NULL;
CREATE INDEX row_log ON row (log);

-- The order of the lists again, for each value that lists are filtered by.
CREATE TABLE facet (
    kind  INTEGER NOT NULL,
    facet TEXT NOT NULL,
    rank0 INTEGER NOT NULL,
    rank1 INTEGER NOT NULL,
    key   TEXT NOT NULL,
    PRIMARY KEY (kind, facet, rank0, rank1, key)
) STRICT, WITHOUT ROWID;
