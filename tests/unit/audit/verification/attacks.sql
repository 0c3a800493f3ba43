-- Changes of a database without the API. Each has a name, and words of the difference to be found.
-- The script `worker` has several versions, deployments, triggers and settings.

-- entry text: the text of entry 8 of the log
UPDATE audit SET entry = CAST(replace(entry, 'owner@', 'eve@') AS BLOB) WHERE seq = 9;

-- entry that is not an entry: entry 8
UPDATE audit SET entry = x'00', leaf = x'96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7' WHERE seq = 9;

-- leaf: the text of entry 8 of the log
UPDATE audit SET leaf = zeroblob(32) WHERE seq = 9;

-- account of an entry: entry 8 of the log is listed
UPDATE audit SET account_id = 'another' WHERE seq = 9;

-- last entries: the log has a signature over
DELETE FROM audit WHERE seq > (SELECT max(seq) - 2 FROM audit);

-- last entry without statements: the log
DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit);

-- middle entry: entry 8 of the log is missing
DELETE FROM audit WHERE seq = 9;

-- first entry: entry 0 of the log is missing
DELETE FROM audit WHERE seq = 1;

-- another entry: no signature covers the statements of entry
INSERT INTO audit SELECT max(seq) + 1, account_id, entry, leaf FROM audit;

-- hash of a tile: the hash of tile 0 at level 1
UPDATE log_nodes SET hash = zeroblob(32);

-- another hash of a tile: rows that do not belong
INSERT INTO log_nodes VALUES (2, 0, zeroblob(32));

-- size in the head: the log's head says
UPDATE log_head SET size = size - 1;

-- tree in the head: the tree of the log's head
UPDATE log_head SET frontier = zeroblob(length(frontier));

-- origin: no given key has signed
UPDATE log_head SET origin = 'another';

-- checkpoint: the log's checkpoint
UPDATE log_head SET checkpoint = CAST(replace(checkpoint, char(10), char(10) || '1') AS BLOB);

-- no checkpoint: the log's checkpoint
UPDATE log_head SET checkpoint = x'';

-- no head: the log's head is missing
DELETE FROM log_head;

-- signature: no given key has signed
UPDATE log_groups SET signature = zeroblob(64) WHERE first = 8;

-- signer: no given key has signed
UPDATE log_groups SET signer = 'f' WHERE first = 8;

-- signed root: is not what was signed
UPDATE log_groups SET root = zeroblob(32) WHERE first = 8;

-- signed statements: the signed statements
UPDATE log_groups SET digests = zeroblob(64) WHERE first = 8;

-- signed group: no signature covers
DELETE FROM log_groups WHERE first = 8;

-- binding's public part: the binding 'P' of version 1 of the script 'many'
UPDATE bindings SET shown = CAST(replace(shown, 'plain', 'other') AS BLOB) WHERE name = 'P' AND script = 'many';

-- binding's public part and digest: version 1 of the script 'many'
UPDATE bindings SET shown = CAST(replace(shown, 'plain', 'other') AS BLOB), digest = NULL WHERE name = 'P' AND
  script = 'many';

-- binding's type: version 1 of the script
UPDATE bindings SET kind = 'json', digest = NULL WHERE name = 'P';

-- binding's version: version 3
UPDATE bindings SET since = since + 1 WHERE name = 'T' AND script = 'worker';

-- binding's digest: the binding 'P'
UPDATE bindings SET digest = zeroblob(32) WHERE name = 'P';

-- binding's value: the value of the binding 'T', put by version 3 of the script 'worker'
UPDATE bindings SET sealed = CAST(sealed || x'00' AS BLOB) WHERE name = 'T' AND script = 'worker';

-- older value of a binding: the value of the binding 'T', put by version 3 of the script 'worker'
UPDATE bindings SET sealed = (SELECT h.sealed FROM binding_history h WHERE h.name = 'T') WHERE name = 'T' AND script
  = 'worker';

-- older binding, whole: version 3 of the script 'worker'
UPDATE bindings SET (sealed, since, digest, stated_in, position) = (SELECT h.sealed, from_version, digest,
  stated_in, position FROM binding_history h WHERE h.name = 'T') WHERE name = 'T' AND script = 'worker';

-- value of another script: the value of the binding 'T'
UPDATE bindings SET sealed = (SELECT sealed FROM bindings WHERE name = 'N') WHERE name = 'T';

-- proof of a value: names another proof
UPDATE bindings SET position = 7 WHERE name = 'T';

-- another binding: version 1 of the script 'worker'
INSERT INTO bindings (account_id, namespace, script, name, since, kind, shown) SELECT account_id, namespace, name,
  'X', 1, 'plain_text', x'7b7d' FROM scripts WHERE name = 'worker';

-- binding: version 3 of the script 'worker'
DELETE FROM bindings WHERE name = 'T' AND script = 'worker';

-- value in the history: the value of the binding 'T', put by version 2 of the script 'worker'
UPDATE binding_history SET sealed = CAST(sealed || x'00' AS BLOB) WHERE name = 'T';

-- row of the history: version 2 of the script 'worker'
DELETE FROM binding_history WHERE name = 'T';

-- end of a row of the history: version 3 of the script 'worker'
UPDATE binding_history SET to_version = to_version + 1 WHERE name = 'T';

-- settings: of the script 'worker'
UPDATE uploads SET settings = CAST(replace(settings, '2026', '2021') AS BLOB) WHERE script_id = (SELECT id FROM
  scripts WHERE name = 'worker');

-- etag: the files of version
UPDATE uploads SET etag = 'x' WHERE script_id = (SELECT id FROM scripts WHERE name = 'worker');

-- module's content: the files of version
UPDATE modules SET digest = zeroblob(32) WHERE script_id = (SELECT id FROM scripts WHERE name = 'worker');

-- module's name: the files of version
UPDATE modules SET name = 'c.js' WHERE name = 'b.js';

-- body of a file: the contents of the file
UPDATE contents SET body = CAST(body || 'x' AS BLOB);

-- annotations: of the script 'worker'
UPDATE versions SET annotations = x'7b7d' WHERE script_id = (SELECT id FROM scripts WHERE name = 'worker');

-- time of a version: version 1 of the script 'worker'
UPDATE versions SET created_on = 1 WHERE script_id = (SELECT id FROM scripts WHERE name = 'worker');

-- digest of a version: the stored digest of
UPDATE versions SET digest = zeroblob(32) WHERE script_id = (SELECT id FROM scripts WHERE name = 'worker');

-- newest version: the script 'worker'
DELETE FROM versions WHERE script_id = (SELECT id FROM scripts WHERE name = 'worker') AND number = (SELECT
  max(number) FROM versions WHERE script_id = (SELECT id FROM scripts WHERE name = 'worker'));

-- version: version 2 of the script 'worker'
DELETE FROM versions WHERE script_id = (SELECT id FROM scripts WHERE name = 'worker') AND number = 2;

-- traffic: (its versions or their percentages)
UPDATE deployments SET traffic = CAST(replace(traffic, ',75', ',25') AS BLOB);

-- newest deployment: the row of the script 'worker'
DELETE FROM deployments WHERE place = (SELECT max(place) FROM deployments);

-- newest deployment and its trace: wrote the deployment
DELETE FROM deployments WHERE place = (SELECT max(place) FROM deployments);
UPDATE scripts SET live_version = (SELECT max(number) FROM versions WHERE script_id = (SELECT id FROM scripts WHERE
  name = 'worker')) WHERE name = 'worker';

-- version's deployment: the deployment 00000000000000000000000000000000
UPDATE versions SET deployment_id = zeroblob(16) WHERE script_id = (SELECT id FROM scripts WHERE name = 'worker')
  AND number = 2;

-- served version: the row of the script
UPDATE scripts SET served_version = 1 WHERE name = 'worker';

-- content's digest: the stored digest of
UPDATE scripts SET content = zeroblob(32) WHERE name = 'worker';

-- triggers: the triggers
UPDATE scripts SET triggers = x'7b7d' WHERE name = 'worker';

-- triggers of another: the triggers
UPDATE scripts SET triggers = x'7b2261223a317d' WHERE name = 'many';

-- script settings: the script settings
UPDATE scripts SET script_settings = x'7b7d' WHERE name = 'worker';

-- script's name: version 1 of the script 'other'
UPDATE scripts SET name = 'other' WHERE name = 'worker';

-- script: on the script 'worker'
DELETE FROM scripts WHERE name = 'worker';

-- script and its bindings: and the database no longer has it
DELETE FROM scripts WHERE name = 'worker';
DELETE FROM bindings WHERE script = 'worker';

-- another script: version 1 of the script 'new'
INSERT INTO scripts (account_id, namespace, name, id, created_on, modified_on, version, upload_version, variables,
  source, script_settings) SELECT account_id, '', 'new', 'f', 1, 1, 1, 1, 0, '', x'7b7d' FROM scripts WHERE name =
  'worker';
INSERT INTO uploads SELECT account_id, 'f', 1, main_module, etag, settings, 1 FROM uploads LIMIT 1;
INSERT INTO modules SELECT account_id, 'f', 1, position, name, content_type, digest FROM modules LIMIT 1;
UPDATE uploads SET (main_module, etag, settings) = (SELECT main_module, etag, settings FROM uploads WHERE script_id
  = (SELECT id FROM scripts WHERE name = 'worker') AND version = 1) WHERE script_id = 'f';
INSERT INTO versions (account_id, script_id, number, id, deployment_id, created_on, upload_version, source,
  triggered_by, author_id, author_email, annotations) SELECT account_id, 'f', 1, zeroblob(16), x'', 1, 1, '', '',
  '', '', x'7b7d' FROM scripts WHERE name = 'new';

-- version of no script: the table versions has a row
INSERT INTO versions SELECT account_id, 'f', number, id, deployment_id, created_on, upload_version, source,
  triggered_by, author_id, author_email, annotations, digest, stated_in, position FROM versions LIMIT 1;

-- bindings of no script: the table bindings has a row
INSERT INTO bindings (account_id, namespace, script, name, since, kind, shown) SELECT id, '', 'nothing', 'X', 1,
  'plain_text', x'7b7d' FROM accounts;

-- item's value: the value of 'S' in the secrets store
UPDATE items SET sealed = CAST(sealed || x'00' AS BLOB) WHERE name = 'S';

-- item's public part: the item 'S'
UPDATE items SET shown = CAST(replace(shown, 'workers', 'nothing') AS BLOB) WHERE name = 'S';

-- item: and the database no longer has it
DELETE FROM items WHERE name = 'S';

-- another item: the item 'X'
INSERT INTO items (account_id, collection_id, environment, name, id, kind, shown, created_on, modified_on) SELECT
  account_id, collection_id, 'production', 'X', 'x', kind, shown, 1, 1 FROM items LIMIT 1;

-- collection: the secrets store
UPDATE collections SET body = x'7b7d' WHERE kind = 'secrets_store';

-- collection with its items: and the database no longer has it
DELETE FROM items WHERE collection_id = (SELECT id FROM collections WHERE name = 'blog');
DELETE FROM collections WHERE name = 'blog';

-- token's policies: the token
UPDATE tokens SET policies = x'5b5d' WHERE id = (SELECT id FROM tokens WHERE name = 'kept');

-- token's secret: the token
UPDATE tokens SET digest = zeroblob(32) WHERE id = (SELECT id FROM tokens WHERE name = 'kept');

-- another token: the token another
INSERT INTO tokens SELECT 'another', zeroblob(32), user_id, name, status, policies, issued_on, modified_on,
  not_before, expires_on, account_id, condition, mac FROM tokens WHERE id = (SELECT id FROM tokens WHERE name = 'kept');

-- token: wrote the token
DELETE FROM tokens WHERE id = (SELECT id FROM tokens WHERE name = 'kept');

-- user's e-mail: would be found under another
UPDATE users SET email_folded = 'eve@example.com';

-- user's key: the user
UPDATE users SET key_digest = zeroblob(32);

-- account: the account
UPDATE accounts SET name = 'another';

-- membership: the membership
UPDATE memberships SET policies = x'5b5d';

-- another membership: the membership of the user
INSERT INTO memberships SELECT 'another', user_id, policies, created_on, mac FROM memberships;

-- text that is not UTF-8: of version 1 of the script 'many'
UPDATE bindings SET name = CAST(x'ff' AS TEXT) WHERE name = 'P';

-- text that is not UTF-8 in an account: the account
UPDATE accounts SET name = CAST(x'ff' AS TEXT);

-- column of another type: script 'many', name 'P' has a value of the type integer in the column 'shown'
UPDATE bindings SET shown = 7 WHERE name = 'P' AND script = 'many';

-- traffic of another type: script 'worker' has a value of the type text in the column 'traffic'
UPDATE deployments SET traffic = 'x';

-- traffic that is not JSON: of the script 'worker' of the account
UPDATE deployments SET traffic = x'7b';

-- binding's version of another type: script 'worker', name 'T' has a value of the type text in the column 'since'
UPDATE bindings SET since = 'abc' WHERE name = 'T' AND script = 'worker';

-- annotations that are not JSON: version 2 of the script 'worker'
UPDATE versions SET annotations = x'ff' WHERE number = 2 AND script_id = (SELECT id FROM scripts WHERE name = 'worker');

-- negative time of a version: version 2 of the script 'worker'
UPDATE versions SET created_on = -1 WHERE number = 2 AND script_id = (SELECT id FROM scripts WHERE name = 'worker');

-- negative time of an item's value: the value of 'S'
UPDATE items SET since = -1 WHERE name = 'S';

-- unknown kind of a collection: 'space'
UPDATE collections SET kind = 'another' WHERE name = 'space';

-- unknown kind of a collection with items: 'S' of
UPDATE collections SET kind = 'another';

-- text in place of the bytes with that Base64: table memberships with
UPDATE memberships SET policies = 'W10=';

-- bytes in place of an empty text: has a value of the type blob in the column 'account_id'
UPDATE tokens SET account_id = x'' WHERE account_id = '';

-- group that no row uses any more: no signature covers
DELETE FROM log_groups WHERE first = (SELECT min(first) FROM log_groups WHERE first NOT IN (SELECT stated_in FROM
  bindings WHERE stated_in IS NOT NULL UNION SELECT stated_in FROM binding_history WHERE stated_in IS NOT NULL UNION
  SELECT stated_in FROM items WHERE stated_in IS NOT NULL UNION SELECT stated_in FROM versions WHERE stated_in IS NOT
  NULL UNION SELECT stated_in FROM deployments WHERE stated_in IS NOT NULL UNION SELECT triggers_stated_in FROM
  scripts WHERE triggers_stated_in IS NOT NULL));

-- key of a binding's value: the value of the binding 'T', put by version 3 of the script 'worker'
UPDATE bindings SET key_id = 'another' WHERE name = 'T' AND script = 'worker';

-- key of a value in the history: the value of the binding 'T', put by version 2 of the script 'worker'
UPDATE binding_history SET key_id = 'another' WHERE name = 'T';

-- key of an item's value: the value of 'S' in the secrets store
UPDATE items SET key_id = 'another' WHERE name = 'S';

-- no key of a value: 'T' of 'worker'
UPDATE bindings SET key_id = NULL WHERE name = 'T' AND script = 'worker';

-- key without a value: 'P' of 'many'
UPDATE bindings SET key_id = 'another' WHERE name = 'P' AND script = 'many';

-- no digest of a binding: the binding 'P' of version 1 of the script 'many'
UPDATE bindings SET digest = NULL WHERE name = 'P' AND script = 'many';

-- no digest of a version: the stored digest of version 2 of the script 'worker'
UPDATE versions SET digest = NULL WHERE number = 2 AND script_id = (SELECT id FROM scripts WHERE name = 'worker');

-- no digest of the content: the stored digest of the content of the script 'worker'
UPDATE scripts SET content = x'' WHERE name = 'worker';

-- contents of a file: the contents of the file
DELETE FROM contents;
