-- The tables are those of the SQLite engine, column by column, so that a safe can be copied between the engines. Text
-- sorts by its bytes, as in SQLite. The primary key of every table that belongs to accounts begins with the account.

CREATE TABLE accounts (
  id TEXT COLLATE "C" PRIMARY KEY,
  name TEXT NOT NULL,
  created_on BIGINT NOT NULL,
  mac BYTEA NOT NULL
);

CREATE TABLE users (
  id TEXT COLLATE "C" PRIMARY KEY,
  email TEXT NOT NULL,
  key_digest BYTEA NOT NULL,
  created_on BIGINT NOT NULL,
  email_folded TEXT COLLATE "C" NOT NULL UNIQUE,
  service_key_digest BYTEA UNIQUE,
  mac BYTEA NOT NULL
);

CREATE TABLE memberships (
  account_id TEXT COLLATE "C" NOT NULL,
  user_id TEXT COLLATE "C" NOT NULL,
  policies BYTEA NOT NULL,
  created_on BIGINT NOT NULL,
  mac BYTEA NOT NULL,
  PRIMARY KEY (account_id, user_id)
);

CREATE INDEX memberships_of_user ON memberships (user_id, account_id);

-- A token that a user owns has the empty account.
CREATE TABLE tokens (
  account_id TEXT COLLATE "C" NOT NULL,
  id TEXT COLLATE "C" NOT NULL UNIQUE,
  digest BYTEA NOT NULL UNIQUE,
  user_id TEXT COLLATE "C" NOT NULL,
  name TEXT NOT NULL,
  status TEXT NOT NULL,
  policies BYTEA NOT NULL,
  issued_on BIGINT NOT NULL,
  modified_on BIGINT NOT NULL,
  not_before BIGINT,
  expires_on BIGINT,
  condition BYTEA NOT NULL,
  mac BYTEA NOT NULL,
  PRIMARY KEY (account_id, id)
);

CREATE INDEX tokens_of_owner ON tokens (account_id, user_id, issued_on, id);

CREATE TABLE scripts (
  account_id TEXT COLLATE "C" NOT NULL,
  namespace TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  created_on BIGINT NOT NULL,
  modified_on BIGINT NOT NULL,
  version BIGINT NOT NULL,
  upload_version BIGINT NOT NULL,
  variables BIGINT NOT NULL,
  source TEXT NOT NULL,
  script_settings BYTEA NOT NULL,
  live_version BIGINT NOT NULL,
  served_version BIGINT NOT NULL,
  deployment_count BIGINT NOT NULL,
  triggers BYTEA NOT NULL,
  content BYTEA NOT NULL,
  mac BYTEA NOT NULL,
  triggers_stated_in BIGINT,
  triggers_position BIGINT,
  PRIMARY KEY (account_id, namespace, name)
);

CREATE INDEX scripts_by_id ON scripts (account_id, id);

CREATE TABLE versions (
  account_id TEXT COLLATE "C" NOT NULL,
  script_id TEXT COLLATE "C" NOT NULL,
  number BIGINT NOT NULL,
  id BYTEA NOT NULL,
  deployment_id BYTEA NOT NULL,
  created_on BIGINT NOT NULL,
  upload_version BIGINT NOT NULL,
  source TEXT NOT NULL,
  triggered_by TEXT NOT NULL,
  author_id TEXT NOT NULL,
  author_email TEXT NOT NULL,
  annotations BYTEA NOT NULL,
  digest BYTEA,
  stated_in BIGINT,
  position BIGINT,
  PRIMARY KEY (account_id, script_id, number)
);

-- A version's UUID ends with the time in milliseconds, so new entries of an index by these six bytes lie side by side.
CREATE INDEX versions_by_id ON versions (account_id, substr(id, 11));

CREATE TABLE deployments (
  account_id TEXT COLLATE "C" NOT NULL,
  script_id TEXT COLLATE "C" NOT NULL,
  newest_version BIGINT NOT NULL,
  place BIGINT NOT NULL,
  id BYTEA NOT NULL,
  created_on BIGINT NOT NULL,
  source TEXT NOT NULL,
  triggered_by TEXT NOT NULL,
  author_id TEXT NOT NULL,
  author_email TEXT NOT NULL,
  annotations BYTEA NOT NULL,
  traffic BYTEA NOT NULL,
  stated_in BIGINT,
  position BIGINT,
  PRIMARY KEY (account_id, script_id, newest_version, place)
);

CREATE TABLE uploads (
  account_id TEXT COLLATE "C" NOT NULL,
  script_id TEXT COLLATE "C" NOT NULL,
  version BIGINT NOT NULL,
  main_module TEXT NOT NULL,
  etag TEXT NOT NULL,
  settings BYTEA NOT NULL,
  code_version BIGINT NOT NULL,
  PRIMARY KEY (account_id, script_id, version)
);

CREATE TABLE modules (
  account_id TEXT COLLATE "C" NOT NULL,
  script_id TEXT COLLATE "C" NOT NULL,
  version BIGINT NOT NULL,
  position BIGINT NOT NULL,
  name TEXT NOT NULL,
  content_type TEXT NOT NULL,
  digest BYTEA NOT NULL,
  PRIMARY KEY (account_id, script_id, version, position)
);

CREATE INDEX modules_of_content ON modules (account_id, digest);

CREATE TABLE contents (
  account_id TEXT COLLATE "C" NOT NULL,
  digest BYTEA NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (account_id, digest)
);

CREATE TABLE bindings (
  account_id TEXT COLLATE "C" NOT NULL,
  namespace TEXT COLLATE "C" NOT NULL,
  script TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  since BIGINT NOT NULL,
  kind TEXT NOT NULL,
  shown BYTEA NOT NULL,
  key_id TEXT COLLATE "C",
  sealed BYTEA,
  digest BYTEA,
  stated_in BIGINT,
  position BIGINT,
  PRIMARY KEY (account_id, namespace, script, name)
);

CREATE INDEX bindings_by_key ON bindings (account_id, key_id) WHERE key_id IS NOT NULL;
CREATE INDEX bindings_of_stores ON bindings (account_id) WHERE kind = 'secrets_store_secret';
CREATE INDEX bindings_of_scripts ON bindings (account_id)
  WHERE kind IN ('dispatch_namespace', 'durable_object_namespace', 'service', 'workflow');

CREATE TABLE binding_history (
  account_id TEXT COLLATE "C" NOT NULL,
  script_id TEXT COLLATE "C" NOT NULL,
  to_version BIGINT NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  from_version BIGINT NOT NULL,
  kind TEXT NOT NULL,
  shown BYTEA NOT NULL,
  key_id TEXT COLLATE "C",
  sealed BYTEA,
  digest BYTEA,
  stated_in BIGINT,
  position BIGINT,
  PRIMARY KEY (account_id, script_id, to_version, name)
);

CREATE INDEX binding_history_by_key ON binding_history (account_id, key_id) WHERE key_id IS NOT NULL;
CREATE INDEX binding_history_of_stores ON binding_history (account_id) WHERE kind = 'secrets_store_secret';
CREATE INDEX binding_history_of_scripts ON binding_history (account_id)
  WHERE kind IN ('dispatch_namespace', 'durable_object_namespace', 'service', 'workflow');

CREATE TABLE collections (
  account_id TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  body BYTEA NOT NULL,
  created_on BIGINT NOT NULL,
  modified_on BIGINT NOT NULL,
  PRIMARY KEY (account_id, kind, name)
);

CREATE UNIQUE INDEX collections_by_id ON collections (account_id, id);

-- An item's `id` is unique in its collection: an edit that would break this is refused. A unique index would not let
-- an id pass from one item to another in one statement.
CREATE TABLE items (
  account_id TEXT COLLATE "C" NOT NULL,
  collection_id TEXT COLLATE "C" NOT NULL,
  environment TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  id TEXT COLLATE "C" NOT NULL,
  kind TEXT NOT NULL,
  shown BYTEA NOT NULL,
  created_on BIGINT NOT NULL,
  modified_on BIGINT NOT NULL,
  key_id TEXT COLLATE "C",
  sealed BYTEA,
  since BIGINT,
  stated_in BIGINT,
  position BIGINT,
  PRIMARY KEY (account_id, collection_id, environment, name)
);

CREATE INDEX items_by_key ON items (account_id, key_id) WHERE key_id IS NOT NULL;

CREATE TABLE approvals (
  account_id TEXT COLLATE "C" NOT NULL,
  script_id TEXT COLLATE "C" NOT NULL,
  made_for BYTEA NOT NULL,
  key_id TEXT COLLATE "C" NOT NULL,
  made_at BIGINT NOT NULL,
  code BYTEA NOT NULL,
  value_digest BYTEA NOT NULL,
  public BYTEA NOT NULL,
  signature BYTEA NOT NULL,
  PRIMARY KEY (account_id, script_id, code, key_id, made_at)
);

CREATE INDEX approvals_by_time ON approvals (account_id, script_id, made_at);

CREATE TABLE removals (
  account_id TEXT COLLATE "C" NOT NULL,
  script_id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (account_id, script_id)
);

-- One log for the safe: `seq` has no gaps over all accounts.
CREATE TABLE audit (
  account_id TEXT COLLATE "C" NOT NULL,
  seq BIGINT NOT NULL UNIQUE,
  entry BYTEA NOT NULL,
  leaf BYTEA NOT NULL,
  PRIMARY KEY (account_id, seq)
);

-- The other tables belong to the safe and to no account. Those with the column `id` have a single row.
CREATE TABLE log_head (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  origin TEXT NOT NULL,
  size BIGINT NOT NULL,
  frontier BYTEA NOT NULL,
  checkpoint BYTEA NOT NULL,
  archived BIGINT NOT NULL
);

CREATE TABLE log_nodes (
  level BIGINT NOT NULL,
  number BIGINT NOT NULL,
  hash BYTEA NOT NULL,
  PRIMARY KEY (level, number)
);

CREATE TABLE log_groups (
  first BIGINT PRIMARY KEY,
  size BIGINT NOT NULL,
  root BYTEA NOT NULL,
  digests BYTEA NOT NULL,
  signer TEXT NOT NULL,
  signature BYTEA NOT NULL
);

CREATE TABLE retired_keys (
  id TEXT COLLATE "C" PRIMARY KEY,
  retired_on BIGINT NOT NULL
);

CREATE TABLE ring (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  number BIGINT NOT NULL
);

INSERT INTO ring VALUES (1, 0);

CREATE TABLE probe (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  count BIGINT NOT NULL
);

INSERT INTO probe VALUES (1, 0);
