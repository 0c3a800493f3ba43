-- The audit log becomes a transparency log: a Merkle tree over the entries, and one signed checkpoint for each group
-- commit. The index of an entry is `seq` - 1. Earlier entries keep their order; gaps in `seq` are closed.

DROP TRIGGER audit_is_never_changed;
UPDATE audit SET seq = -numbered.place
FROM (SELECT seq AS old, row_number() OVER (ORDER BY seq) AS place FROM audit) AS numbered
WHERE audit.seq = numbered.old AND numbered.place <> numbered.old;
UPDATE audit SET seq = -seq WHERE seq < 0;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

-- A single row. `frontier` has the roots of the perfect subtrees, the largest first; `checkpoint` is the signed note,
-- empty before the first group commit.
CREATE TABLE log_head (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  origin TEXT NOT NULL,
  size INTEGER NOT NULL,
  frontier BLOB NOT NULL,
  checkpoint BLOB NOT NULL
);

-- The roots of full tiles: those at `level` 1 and above. The leaves are in `audit`.
CREATE TABLE log_nodes (
  level INTEGER NOT NULL,
  number INTEGER NOT NULL,
  hash BLOB NOT NULL,
  UNIQUE (level, number)
);

-- The statements of a group commit, as digests, with the signature of its checkpoint. `first` is the size of the log
-- before the commit, `size` the size after it.
CREATE TABLE log_groups (
  first INTEGER PRIMARY KEY,
  size INTEGER NOT NULL,
  root BLOB NOT NULL,
  digests BLOB NOT NULL,
  signer TEXT NOT NULL,
  signature BLOB NOT NULL
);

-- `stated_in` is the group commit, and `position` the place among its statements, that states the row. In rows that
-- are older than the log's first checkpoint, both are NULL. `digest` and `content` are digests that the statement of a
-- version covers: see bundle/statements.py.
ALTER TABLE bindings ADD COLUMN digest BLOB;
ALTER TABLE bindings ADD COLUMN stated_in INTEGER;
ALTER TABLE bindings ADD COLUMN position INTEGER;
ALTER TABLE binding_history ADD COLUMN digest BLOB;
ALTER TABLE binding_history ADD COLUMN stated_in INTEGER;
ALTER TABLE binding_history ADD COLUMN position INTEGER;
-- `since` is the time when the value was put. It stays when other fields of the item change.
ALTER TABLE items ADD COLUMN since INTEGER;
UPDATE items SET since = modified_on WHERE sealed IS NOT NULL;
ALTER TABLE items ADD COLUMN stated_in INTEGER;
ALTER TABLE items ADD COLUMN position INTEGER;
ALTER TABLE versions ADD COLUMN digest BLOB;
ALTER TABLE versions ADD COLUMN stated_in INTEGER;
ALTER TABLE versions ADD COLUMN position INTEGER;
ALTER TABLE deployments ADD COLUMN stated_in INTEGER;
ALTER TABLE deployments ADD COLUMN position INTEGER;
-- `mac` authenticates what the next version builds on: see writes/script_state.py.
ALTER TABLE scripts ADD COLUMN content BLOB NOT NULL DEFAULT x'';
ALTER TABLE scripts ADD COLUMN mac BLOB NOT NULL DEFAULT x'';
ALTER TABLE scripts ADD COLUMN triggers_stated_in INTEGER;
ALTER TABLE scripts ADD COLUMN triggers_position INTEGER;
