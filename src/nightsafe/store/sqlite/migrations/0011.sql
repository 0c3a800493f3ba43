-- Adds the MAC of each identity: see store/identity_macs.py. A row without a MAC counts as absent. The MACs of
-- existing rows are made once, after this migration, by cli/data_directory/identity_key.py.

ALTER TABLE accounts ADD COLUMN mac BLOB NOT NULL DEFAULT x'';
ALTER TABLE users ADD COLUMN mac BLOB NOT NULL DEFAULT x'';
ALTER TABLE memberships ADD COLUMN mac BLOB NOT NULL DEFAULT x'';
ALTER TABLE tokens ADD COLUMN mac BLOB NOT NULL DEFAULT x'';
