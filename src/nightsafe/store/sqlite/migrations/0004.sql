-- Collections of named values outside a script's versions: see store/collections.py. Migration 0009 renames the tables.
-- A script gets a row here, with the kind `script` and its own ID, when its first value is stored here.

CREATE TABLE holders (
  account_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  id TEXT NOT NULL,
  body BLOB NOT NULL,
  created_on INTEGER NOT NULL,
  modified_on INTEGER NOT NULL,
  UNIQUE (account_id, kind, name),
  UNIQUE (account_id, id)
);

-- `kind` is the value's `type` in the API.
CREATE TABLE entries (
  account_id TEXT NOT NULL,
  holder_id TEXT NOT NULL,
  slot TEXT NOT NULL,
  name TEXT NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  shown BLOB NOT NULL,
  created_on INTEGER NOT NULL,
  modified_on INTEGER NOT NULL,
  key_id TEXT,
  sealed BLOB,
  UNIQUE (account_id, holder_id, slot, name),
  UNIQUE (account_id, holder_id, id)
);
