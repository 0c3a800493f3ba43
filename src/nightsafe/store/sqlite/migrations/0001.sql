-- In every table that holds an account's rows, the key begins with account_id, so that these tables can be partitioned
-- by account. They are rowid tables with a UNIQUE key, because rows of 1 KB would overflow an index page.
-- store/scripts.py describes columns like `source` and `created_on`. Times are in microseconds.

CREATE TABLE accounts (
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  created_on INTEGER NOT NULL
);

CREATE TABLE users (
  id TEXT NOT NULL UNIQUE,
  email TEXT NOT NULL,
  key_digest BLOB NOT NULL,
  created_on INTEGER NOT NULL,
  email_folded TEXT NOT NULL UNIQUE
);

CREATE TABLE memberships (
  account_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  policies BLOB NOT NULL,
  created_on INTEGER NOT NULL,
  UNIQUE (account_id, user_id)
);

CREATE INDEX memberships_of_user ON memberships (user_id, account_id);

CREATE TABLE tokens (
  id TEXT NOT NULL UNIQUE,
  digest BLOB NOT NULL UNIQUE,
  user_id TEXT NOT NULL,
  name TEXT NOT NULL,
  status TEXT NOT NULL,
  policies BLOB NOT NULL,
  issued_on INTEGER NOT NULL,
  modified_on INTEGER NOT NULL,
  not_before INTEGER,
  expires_on INTEGER
);

-- `variables` is the number of the script's bindings whose kinds count towards the limit.
CREATE TABLE scripts (
  account_id TEXT NOT NULL,
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  id TEXT NOT NULL,
  created_on INTEGER NOT NULL,
  modified_on INTEGER NOT NULL,
  version INTEGER NOT NULL,
  upload_version INTEGER NOT NULL,
  variables INTEGER NOT NULL,
  source TEXT NOT NULL,
  script_settings BLOB NOT NULL,
  UNIQUE (account_id, namespace, name)
);

-- The change that makes a version also deploys it at 100 %, so its deployment is a column here.
CREATE TABLE versions (
  account_id TEXT NOT NULL,
  script_id TEXT NOT NULL,
  number INTEGER NOT NULL,
  id BLOB NOT NULL,
  deployment_id BLOB NOT NULL,
  created_on INTEGER NOT NULL,
  upload_version INTEGER NOT NULL,
  source TEXT NOT NULL,
  triggered_by TEXT NOT NULL,
  author_id TEXT NOT NULL,
  author_email TEXT NOT NULL,
  annotations BLOB NOT NULL,
  UNIQUE (account_id, script_id, number)
);

CREATE TABLE uploads (
  account_id TEXT NOT NULL,
  script_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  main_module TEXT NOT NULL,
  etag TEXT NOT NULL,
  settings BLOB NOT NULL,
  UNIQUE (account_id, script_id, version)
);

CREATE TABLE modules (
  account_id TEXT NOT NULL,
  script_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  content_type TEXT NOT NULL,
  digest BLOB NOT NULL,
  UNIQUE (account_id, script_id, version, position)
);

CREATE INDEX modules_of_content ON modules (account_id, digest);

CREATE TABLE contents (
  account_id TEXT NOT NULL,
  digest BLOB NOT NULL,
  body BLOB NOT NULL,
  UNIQUE (account_id, digest)
);

-- The bindings of each script's newest version. `since` is the version that wrote the row. `shown` comes before
-- `sealed`, so that a read of it never follows a long value's overflow pages.
CREATE TABLE bindings (
  account_id TEXT NOT NULL,
  namespace TEXT NOT NULL,
  script TEXT NOT NULL,
  name TEXT NOT NULL,
  since INTEGER NOT NULL,
  kind TEXT NOT NULL,
  shown BLOB NOT NULL,
  key_id TEXT,
  sealed BLOB,
  UNIQUE (account_id, namespace, script, name)
);

-- Bindings of older versions: those with a number n such that from_version <= n < to_version.
CREATE TABLE binding_history (
  account_id TEXT NOT NULL,
  script_id TEXT NOT NULL,
  to_version INTEGER NOT NULL,
  name TEXT NOT NULL,
  from_version INTEGER NOT NULL,
  kind TEXT NOT NULL,
  shown BLOB NOT NULL,
  key_id TEXT,
  sealed BLOB,
  UNIQUE (account_id, script_id, to_version, name)
);

CREATE TABLE audit (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  account_id TEXT NOT NULL,
  entry BLOB NOT NULL,
  leaf BLOB NOT NULL
);

CREATE INDEX audit_of_account ON audit (account_id, seq);

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TRIGGER audit_is_never_cut BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

-- A single row, which health checks write.
CREATE TABLE probe (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  count INTEGER NOT NULL
);

INSERT INTO probe VALUES (1, 0);
