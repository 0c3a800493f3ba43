-- Deleted scripts of which rows are left to be purged. Nobody finds these rows: all reads begin with a row of `scripts`.

CREATE TABLE removals (
  account_id TEXT NOT NULL,
  script_id TEXT NOT NULL,
  UNIQUE (account_id, script_id)
);
