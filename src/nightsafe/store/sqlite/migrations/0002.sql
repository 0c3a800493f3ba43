-- Adds tokens that an account owns, conditions on requests, and user service keys.

ALTER TABLE tokens ADD COLUMN account_id TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN condition BLOB NOT NULL DEFAULT x'7b7d';
CREATE INDEX tokens_of_owner ON tokens (account_id, user_id, issued_on);

ALTER TABLE users ADD COLUMN service_key_digest BLOB;
CREATE UNIQUE INDEX users_by_service_key ON users (service_key_digest);
