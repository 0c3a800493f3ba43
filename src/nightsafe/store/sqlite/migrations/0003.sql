-- Versions that are not deployed, deployments made by themselves, settings without code, standing settings.

-- `live_version` is the version that is served alone, 0 when several are or none is; `served_version` the newest of
-- those that are served, 0 when none is. Until now every version was deployed when it was made.
ALTER TABLE scripts ADD COLUMN live_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE scripts ADD COLUMN served_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE scripts ADD COLUMN deployment_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE scripts ADD COLUMN standing BLOB NOT NULL DEFAULT x'7b7d';
UPDATE scripts SET live_version = version, served_version = version, deployment_count = version;

-- A row for each upload and each change of settings: `code_version` is the upload that the modules are of.
ALTER TABLE uploads ADD COLUMN code_version INTEGER NOT NULL DEFAULT 0;
UPDATE uploads SET code_version = version;

-- The UUID alone finds the row: account and script before it would be most of the index.
CREATE INDEX versions_by_id ON versions (id);

-- Only deployments made by themselves: that of a version made and deployed in one is in the version's row, where
-- an empty `deployment_id` now tells that it was not deployed. `newest_version` is the script's newest version at
-- that time and `place` the deployment's number among all of the script's: (number, 0) of the versions deployed when
-- made and (newest_version, place) of these are one order. `traffic`: JSON list of version UUID in hex, percentage.
CREATE TABLE deployments (
  account_id TEXT NOT NULL,
  script_id TEXT NOT NULL,
  newest_version INTEGER NOT NULL,
  place INTEGER NOT NULL,
  id BLOB NOT NULL,
  created_on INTEGER NOT NULL,
  source TEXT NOT NULL,
  triggered_by TEXT NOT NULL,
  author_id TEXT NOT NULL,
  author_email TEXT NOT NULL,
  annotations BLOB NOT NULL,
  traffic BLOB NOT NULL,
  UNIQUE (account_id, script_id, newest_version, place)
);
