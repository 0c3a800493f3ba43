-- Approvals of versions, which approvers have signed. `made_for` is the version that the approver looked at.
CREATE TABLE approvals (
  account_id TEXT NOT NULL,
  script_id TEXT NOT NULL,
  made_for BLOB NOT NULL,
  key_id TEXT NOT NULL,
  made_at INTEGER NOT NULL,
  code BLOB NOT NULL,
  value_digest BLOB NOT NULL,
  public BLOB NOT NULL,
  signature BLOB NOT NULL,
  UNIQUE (account_id, script_id, code, key_id, made_at)
);
CREATE INDEX approvals_by_time ON approvals (account_id, script_id, made_at);
