-- The number of entries, from the first one on, whose text is in an archive. Such an entry keeps its place and its leaf
-- hash, and its text is empty. Only the text of these entries may ever be changed, and only to be emptied.
ALTER TABLE log_head ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;

DROP TRIGGER audit_is_never_changed;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
WHEN NEW.entry IS NOT x'' OR NEW.seq IS NOT OLD.seq OR NEW.account_id IS NOT OLD.account_id OR NEW.leaf IS NOT OLD.leaf
  OR OLD.seq > (SELECT archived FROM log_head)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

-- A version's UUID ends with the time in milliseconds, so new entries of an index by these six bytes lie side by side.
DROP INDEX versions_by_id;
CREATE INDEX versions_by_id ON versions (substr(id, 11));
