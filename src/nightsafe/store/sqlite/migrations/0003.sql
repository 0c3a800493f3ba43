-- Adds versions that are not deployed, deployments of existing versions, settings without code, and the script settings
-- that uploads do not change.

-- `live_version` is the version that gets all traffic; it is 0 if several versions share the traffic or no version is
-- deployed. `served_version` is the newest version that gets traffic; it is 0 if no version is deployed. Before this
-- migration, every version was deployed when it was made.
ALTER TABLE scripts ADD COLUMN live_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE scripts ADD COLUMN served_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE scripts ADD COLUMN deployment_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE scripts ADD COLUMN standing BLOB NOT NULL DEFAULT x'7b7d';
UPDATE scripts SET live_version = version, served_version = version, deployment_count = version;

-- Each upload and each change of settings has a row. `code_version` is the version whose upload brought the modules.
ALTER TABLE uploads ADD COLUMN code_version INTEGER NOT NULL DEFAULT 0;
UPDATE uploads SET code_version = version;

-- The UUID alone finds the row; account and script in front of it would make up most of the index.
CREATE INDEX versions_by_id ON versions (id);

-- Deployments of versions that already existed. If one change makes a version and deploys it, the deployment is in the
-- version's row; an empty `deployment_id` there now means that the change did not deploy the version.
-- `newest_version` is the script's newest version at the time of the deployment, and `place` is the deployment's number
-- among all deployments of the script. (newest_version, place) of these rows and (number, 0) of the versions that were
-- deployed when they were made sort into one order. `traffic` is a JSON list of pairs: a version's UUID in hex, and its
-- percentage.
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
