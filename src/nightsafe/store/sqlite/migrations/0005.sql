-- Adds indexes to find the values that are sealed to a key, the retired keys, which seal no new values, and indexes to
-- find the scripts that are bound to secrets of a store.

CREATE INDEX bindings_by_key ON bindings (account_id, key_id) WHERE key_id IS NOT NULL;
CREATE INDEX binding_history_by_key ON binding_history (account_id, key_id) WHERE key_id IS NOT NULL;
CREATE INDEX entries_by_key ON entries (account_id, key_id) WHERE key_id IS NOT NULL;

-- Finds the script's name for a row of the history.
CREATE INDEX scripts_by_id ON scripts (account_id, id);

-- Keys belong to the safe, not to an account.
CREATE TABLE retired_keys (
  id TEXT NOT NULL UNIQUE,
  retired_on INTEGER NOT NULL
);

-- These indexes contain only the few bindings to secrets of a store.
CREATE INDEX bindings_of_stores ON bindings (account_id) WHERE kind = 'secrets_store_secret';
CREATE INDEX binding_history_of_stores ON binding_history (account_id) WHERE kind = 'secrets_store_secret';
