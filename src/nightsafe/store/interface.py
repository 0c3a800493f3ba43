"""The interface of a store engine. `tests/engines/` checks every promise made here, for each engine."""

from collections.abc import Sequence
from typing import Protocol

from nightsafe.store.bundles import AuditHead, Served, ServedVersion, StoredApproval, StoredFile
from nightsafe.store.changes import AuditEntry, Change, Outcome
from nightsafe.store.collections import Collection, Item, Kind
from nightsafe.store.figures import Figures
from nightsafe.store.generations import Generations
from nightsafe.store.identities import Account, Membership, Token, User
from nightsafe.store.references import CandidateBinding, SecretVersion
from nightsafe.store.scripts import ALWAYS, Binding, Deployment, Period, Script, ScriptRef, Version
from nightsafe.store.sealed_values import StoredValue


class Store(Generations, Protocol):
    """A durable store of scripts with their bindings and versions, and of the identities that may access them.

    Reads: every read sees every change that `commit` has answered, in this process or in another. A read of an absent
    object returns None or an empty list. `log_entries` and `audit_entries` return archived entries of the audit log
    with an empty text; other reads leave them out.

    Identities: an account, user, membership or token counts only if `commit` has stored it as it is. A row that
    anything else has written or altered reads as absent.

    Failures: after a failure of the engine itself, the store is usable again as soon as the cause is gone. Such a
    failure is a NightsafeError with one of these codes, and nothing was changed:
        DISK_FULL, when the disk has no room;
        FILE_GONE, when the store's files are no longer where they were opened; reads continue from the open files;
        LOG_FULL, when the log must keep data that another process is reading, and has become too long;
        NO_PRIMARY, when no primary of the database has answered in time;
        NOT_DURABLE, when the disk did not make a change durable, and the change was undone;
        STORE, for every other failure (file damaged, connection lost).
    OUTCOME_UNKNOWN is the only exception: the change may or may not be kept.
    """

    async def commit(self, change: Change) -> Outcome:
        """Apply a whole change durably, or nothing of it; answer only after the change would survive a crash.

        A change whose edit alters nothing (nothing set, nothing present to drop, no upload, no removal) writes
        nothing, not even the audit entry, unless it also puts identities. The same applies to a change that only
        reseals or states values (`reseal`, `older`), when none of them is as it was read. If the caller is cancelled
        while it waits, the change may still be applied.

        Raises:
            NightsafeError: nothing was changed, and the code is
                SCRIPT_NOT_FOUND, when the script is absent and the edit has no upload that may create it;
                NAMESPACE_NOT_FOUND, when an upload would create a script in an absent dispatch namespace;
                the edit's `must_be_live`, when the newest version is not the only deployed one;
                the code of `RequiredScript.problem` (one problem for each script), when `needs` has absent scripts;
                BINDING_NAME_TAKEN (detail: the name; with the kind), when `set`, without `bindings_update`, names an
                existing binding that is not a secret;
                BINDING_NOT_FOUND (detail: the name), when `require_drop` is set and a name in `drop` is not a secret
                of the script;
                TOO_MANY_BINDINGS (detail: the resulting number), when the edit would exceed `max_variables`;
                INHERIT (detail: the name; one problem for each), when inherited bindings are absent and either
                `BindingsUpdate.strict` or their own `Inherit.required` is set;
                INHERIT_RENAMED (detail: the name; one problem for each), when secrets are inherited under another
                name;
                VERSION_NOT_FOUND (detail: the UUID), when `deploy` or `approval` names a version that the script does
                not have;
                SECRETS_CHANGED (detail: the secrets' names, separated by comma and space), when `deploy` without
                `force` contains only versions older than the newest version served now, and the secrets of the
                newest of them differ from those served now in a value, by an additional secret or by a missing one;
                COLLECTION_NOT_FOUND (detail: its name), when the collection must exist and is absent;
                COLLECTION_TAKEN (detail: its name), when the collection to create exists;
                ITEM_TAKEN or ITEM_NOT_FOUND (detail: the name; one problem for each), when `put_mode` or
                `require_drop` forbids the edit;
                TOO_MANY_COLLECTIONS or TOO_MANY_ITEMS (detail: the limit), when the edit would exceed a limit;
                NAMESPACE_NOT_EMPTY (detail: how many scripts), when the dispatch namespace to remove holds scripts;
                COLLECTION_NOT_EMPTY (detail: how many items), when `only_empty` is set and the collection to remove
                has items;
                UNAVAILABLE, when a token in `unchanged` was changed or deleted meanwhile; when settings or a body are
                no longer those from which the new ones were computed (`SettingsUpdate.expected`, `expected_body`);
                when the newest version's number is not `based_on`; when `reference_candidates` differs from what
                leads to the script to remove; when a value is sealed to a retired key; or when `archive` is too late;
                KEY_IN_USE (detail: the key's id), when values are sealed to the key to `retire`, unless
                `Retirement.in_use` is set;
                INVALID, when another user has a user's e-mail, or another token has a token's digest;
                STORE, when the engine failed.
        """
        ...

    async def secret(self, ref: ScriptRef, name: str) -> bytes | None:
        """Return `Binding.shown` of one secret. This is the most frequent read: one primary-key look-up."""
        ...

    async def secrets(self, ref: ScriptRef) -> list[bytes] | None:
        """Return `Binding.shown` of every secret of a script, ordered by name; None when the script is absent."""
        ...

    async def bindings(self, ref: ScriptRef, version: int | None = None) -> list[Binding]:
        """Return every binding of a script at a version number (default: the newest), ordered by name."""
        ...

    async def bindings_of(self, ref: ScriptRef, first: int, last: int) -> dict[int, list[Binding]]:
        """Return the bindings, ordered by name, of each of the script's versions from `first` to `last` inclusive."""
        ...

    async def secret_versions(self, ref: ScriptRef) -> list[SecretVersion]:
        """Return the version that last set each secret of a script, ordered by the secret's name.

        A later version that only kept the secret does not count.
        """
        ...

    async def script(self, ref: ScriptRef) -> Script | None:
        """Return one script."""
        ...

    async def script_by_id(self, account_id: str, script_id: str) -> Script | None:
        """Return one script by its tag; scripts in dispatch namespaces are not found."""
        ...

    async def scripts(self, account_id: str, namespace: str = "") -> list[Script]:
        """Return every script of an account in one dispatch namespace ("" for none), ordered by name."""
        ...

    async def scripts_after(self, account_id: str, namespace: str, name: str, limit: int = 100) -> list[Script]:
        """Return the next scripts after a name in one dispatch namespace, ordered by name; start with the name ""."""
        ...

    async def last_deployed(self, script: Script) -> int | None:
        """Return the time of a script's newest deployment; None without deployments."""
        ...

    async def files(self, ref: ScriptRef, version: int | None = None) -> list[StoredFile]:
        """Return a version's files (default: the newest's) in upload order; CANNOT_OPEN if contents are missing."""
        ...

    async def version(self, ref: ScriptRef, version_id: bytes | None = None) -> Version | None:
        """Return one version of a script by its UUID (default: the newest)."""
        ...

    async def versions(self, ref: ScriptRef, *, offset: int = 0, limit: int = 100) -> list[Version]:
        """Return versions of a script, newest first. `Script.version` is their total number."""
        ...

    async def versions_between(self, ref: ScriptRef, first: bytes, last: bytes) -> list[Version]:
        """Return the versions of a script with UUIDs from `first` to `last` inclusive, newest first."""
        ...

    async def deployment(self, ref: ScriptRef, deployment_id: bytes) -> Deployment | None:
        """Return one deployment of a script by its UUID."""
        ...

    async def deployments(
        self, ref: ScriptRef, *, offset: int = 0, limit: int = 100, period: Period = ALWAYS
    ) -> list[Deployment]:
        """Return a script's deployments in a period, newest first. The newest deployment of all is served now."""
        ...

    async def count_deployments(self, ref: ScriptRef, period: Period = ALWAYS) -> int:
        """Return how many deployments a script has had in a period."""
        ...

    async def collection(self, account_id: str, kind: Kind, name: str) -> Collection | None:
        """Return one collection by name. For kind SCRIPT, the name is a script's outside every dispatch namespace."""
        ...

    async def collections(self, account_id: str, kind: Kind) -> list[Collection]:
        """Return every collection of a kind, ordered by name; an empty list for kind SCRIPT."""
        ...

    async def item_records(self, account_id: str, collection_id: str) -> dict[tuple[str, str], bytes]:
        """Return the stored record of every sealed item of a collection, by environment and name."""
        ...

    async def items(self, account_id: str, collection_id: str) -> list[Item]:
        """Return every item of a collection, ordered by environment and name."""
        ...

    async def count_scripts(self, account_id: str, namespace: str) -> int:
        """Return how many scripts a dispatch namespace holds."""
        ...

    async def bound_to_stores(self, account_id: str) -> list[tuple[str, bytes]]:
        """Return the `secrets_store_secret` bindings of all versions of all scripts outside dispatch namespaces.

        Each binding appears once, as the script's name and `Binding.shown`.
        """
        ...

    async def bindings_mentioning(self, account_id: str, name: str) -> list[CandidateBinding]:
        """Return the bindings that may lead to a script: bindings of a kind that can, with its name anywhere in them.

        The search covers the newest version and every served older version of each script of the account, in every
        dispatch namespace.
        """
        ...

    async def settings_mentioning(self, account_id: str, name: str) -> list[tuple[ScriptRef, bytes]]:
        """Return `Script.script_settings` of the scripts, in any namespace, that contain a name as a JSON string."""
        ...

    async def keys_in_use(self, account_id: str) -> list[str]:
        """Return the sorted ids of the recipient keys that an account's values are sealed to, with a few look-ups."""
        ...

    async def count_values(self, account_id: str, key_id: str) -> int:
        """Return how many values of an account are sealed to a key, without blocking other tasks during the count."""
        ...

    async def values_under(
        self, account_id: str, key_id: str, *, after: str = "", limit: int = 100, max_bytes: int = 1 << 20
    ) -> list[StoredValue]:
        """Return an account's values that are sealed to a key, in the order of their marks.

        Args:
            account_id: the account.
            key_id: the recipient key's id.
            after: the mark of the value after which to continue; "" to start.
            limit: the maximum number of values.
            max_bytes: the maximum total size of their records in bytes; one value is returned even if it is larger.

        Raises:
            NightsafeError: INVALID, when `after` is not a mark.
        """
        ...

    async def value(self, account_id: str, mark: str) -> StoredValue | None:
        """Return the value at a mark; None when there is no value, or it belongs to another account.

        Raises:
            NightsafeError: INVALID, when `mark` is not a mark.
        """
        ...

    async def retired_keys(self) -> list[str]:
        """Return the ids of the retired recipient keys, sorted."""
        ...

    def retired_keys_now(self) -> list[str]:
        """Return the retired keys without awaiting, for a server that finds another ring in the ring's file.

        They may lack a key that another process has just retired; `commit` refuses a value to any retired key.
        """
        ...

    async def ring_number(self) -> int:
        """Return the greatest number of any public ring that was in use; 0 if no such ring had a number."""
        ...

    async def token(self, digest: bytes) -> Token | None:
        """Return the token with this SHA-256."""
        ...

    async def token_by_id(self, token_id: str) -> Token | None:
        """Return the token with this id, of any owner."""
        ...

    async def tokens_of_user(self, user_id: str) -> list[Token]:
        """Return every token that a user owns, oldest first."""
        ...

    async def tokens_of_account(self, account_id: str) -> list[Token]:
        """Return every token that an account owns, oldest first."""
        ...

    async def user(self, user_id: str) -> User | None:
        """Return one user by id."""
        ...

    async def user_by_email(self, email: str) -> User | None:
        """Return one user by e-mail, ignoring case."""
        ...

    async def user_by_service_key(self, digest: bytes) -> User | None:
        """Return the user with this SHA-256 of a service key."""
        ...

    async def memberships(self, user_id: str) -> list[Membership]:
        """Return a user's memberships, ordered by account id."""
        ...

    async def members(self, account_id: str) -> list[Membership]:
        """Return an account's memberships, oldest first."""
        ...

    async def account(self, account_id: str) -> Account | None:
        """Return one account by id."""
        ...

    async def accounts(self) -> list[Account]:
        """Return every account, oldest first."""
        ...

    async def audit_entries(self, account_id: str, after: int = 0, limit: int = 100) -> list[tuple[int, AuditEntry]]:
        """Return an account's audit log entries after the sequence number `after`, with their sequence numbers."""
        ...

    async def audit_between(self, account_id: str, first: int, last: int) -> list[tuple[int, AuditEntry]]:
        """Return an account's audit log entries with sequence numbers from `first` to `last` inclusive, in order."""
        ...

    async def audit_number_after(self, account_id: str, number: int) -> int | None:
        """Return the sequence number of an account's first audit log entry after a number, or None."""
        ...

    async def audit_number_before(self, account_id: str, number: int) -> int | None:
        """Return the sequence number of an account's last audit log entry before a number, or None."""
        ...

    async def audit_entries_of_all_accounts(
        self, after: int = 0, limit: int = 100, max_bytes: int = 1 << 20
    ) -> list[tuple[int, AuditEntry]]:
        """Return the audit log entries of all accounts after the sequence number `after`, with their numbers.

        The numbers begin after the archived entries and have no gaps, and a lower number never appears later.

        Args:
            after: the sequence number after which to continue; 0 to start.
            limit: the maximum number of entries.
            max_bytes: the maximum total size of the entries in bytes; one entry is returned even if it is larger.
        """
        ...

    async def last_audit_number(self) -> int:
        """Return the sequence number of the latest audit log entry of any account; 0 for an empty log."""
        ...

    async def audit_head(self, account_id: str) -> AuditHead:
        """Return an account's latest audit log entry."""
        ...

    async def checkpoint(self) -> bytes:
        """Return the signed note of the log's newest checkpoint; b"" before the first commit."""
        ...

    async def log_hashes(self, level: int, start: int, count: int) -> list[bytes]:
        """Return consecutive hashes of one level of the log's tiles: C2SP tlog-tiles.

        Args:
            level: 0 for the leaves; a hash of a higher level is the root of a full tile below it.
            start: the index of the first hash in its level.
            count: how many; fewer are returned at the end of the log.
        """
        ...

    async def log_entries(self, start: int, count: int) -> list[AuditEntry]:
        """Return consecutive entries of the log, of all accounts, from the index `start` on."""
        ...

    async def served(self, ref: ScriptRef, deployment_id: bytes | None = None) -> Served:
        """Return a script's served versions and its account's latest log entry, both as of the same moment.

        Args:
            ref: the script.
            deployment_id: the UUID of an earlier deployment, to return its versions instead.
        """
        ...

    async def full_version(self, ref: ScriptRef, version_id: bytes | None = None) -> ServedVersion | None:
        """Return a whole version (default: the newest) without its files' contents, with the percentage 0."""
        ...

    async def approvals(self, ref: ScriptRef, keys: Sequence[str] = (), limit: int = 100) -> list[StoredApproval]:
        """Return a script's approvals by some keys (default: all), newest first."""
        ...

    async def approvals_of(
        self, ref: ScriptRef, code: bytes, keys: Sequence[str], limit: int = 100
    ) -> list[StoredApproval]:
        """Return a script's approvals of a `code_digest` by some keys, newest first."""
        ...

    async def content_size(self, account_id: str, digest: bytes) -> int | None:
        """Return the size in bytes of the contents with this SHA-256; None when the account has no such contents."""
        ...

    async def content_part(self, account_id: str, digest: bytes, start: int, size: int) -> bytes | None:
        """Return `size` bytes of contents from `start`, without blocking the loop; None if the contents are gone."""
        ...

    async def content(self, account_id: str, digest: bytes) -> bytes | None:
        """Return the body with this SHA-256 from the files of an account's scripts."""
        ...

    async def check(self) -> None:
        """Check that reads work, and prove that writes work, including writes of more than one row.

        Raises:
            NightsafeError: when the engine fails, as for `commit`.
        """
        ...

    def failures(self) -> int:
        """Return how many transactions have failed. After a new failure, an earlier `check` is no longer valid."""
        ...

    def figures(self) -> Figures:
        """Return the store's counters and the length of its log."""
        ...

    async def close(self) -> None:
        """Finish the waiting changes, then close every file. Later calls raise NightsafeError STORE."""
        ...
