-- The greatest number of a public ring that was in use here: an older ring is refused.

CREATE TABLE ring (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  number INTEGER NOT NULL
);

INSERT INTO ring VALUES (1, 0);
