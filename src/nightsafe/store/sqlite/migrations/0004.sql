-- What holds named values beside a script's versions: see store/collections.py. A script has a row here, of kind `script`
-- and with its own id, once something was put into it as a holder.

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

-- `kind` is the wire's type of the value.
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
