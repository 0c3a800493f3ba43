-- Deleted scripts whose rows must still be purged. No read finds these rows, because all reads start from `scripts`.

CREATE TABLE removals (
  account_id TEXT NOT NULL,
  script_id TEXT NOT NULL,
  UNIQUE (account_id, script_id)
);
