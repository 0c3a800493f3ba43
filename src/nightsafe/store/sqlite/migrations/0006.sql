-- The highest number of a public ring that has been in use here. Nightsafe refuses an older ring.

CREATE TABLE ring (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  number INTEGER NOT NULL
);

INSERT INTO ring VALUES (1, 0);
