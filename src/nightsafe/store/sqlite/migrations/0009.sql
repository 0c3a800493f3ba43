-- A collection of items holds named values outside a script's versions: see store/collections.py. An item's
-- `environment` is the part of the collection that holds it (`production` or `preview` of a Pages project).

ALTER TABLE holders RENAME TO collections;
ALTER TABLE entries RENAME TO items;
ALTER TABLE items RENAME COLUMN holder_id TO collection_id;
ALTER TABLE items RENAME COLUMN slot TO environment;
DROP INDEX entries_by_key;
CREATE INDEX items_by_key ON items (account_id, key_id) WHERE key_id IS NOT NULL;

-- Settings of a script that uploads do not change: its subdomain and its schedules.
ALTER TABLE scripts RENAME COLUMN standing TO triggers;
