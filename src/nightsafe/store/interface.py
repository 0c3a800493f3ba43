"""What an engine offers. `tests/engines/` holds every promise made here, for each engine."""

from typing import Protocol

from nightsafe.store.bundles import AuditHead, Served, ServedVersion, StoredFile
from nightsafe.store.changes import AuditEntry, Change, Outcome
from nightsafe.store.collections import Collection, Item, Kind
from nightsafe.store.figures import Figures
from nightsafe.store.identities import Account, Membership, Token, User
from nightsafe.store.period import ALWAYS, Period
from nightsafe.store.references import Pointer, SecretVersion
from nightsafe.store.scripts import Binding, Deployment, Script, ScriptRef, Version
from nightsafe.store.sealed_values import StoredValue


class Store(Protocol):
    """A durable store of scripts, their bindings and their versions, and of who may touch them.

    Every read sees every change that `commit` has answered, by this process or another. A read of what is
    not there gives None or an empty list. A failure of the engine itself leaves the store usable as soon as the
    cause is gone. It is a NightsafeError, and nothing is changed, with the code
        DISK_FULL, when there is no room;
        FILE_GONE, when its files are not where they were opened; reads go on from those that are open;
        LOG_FULL, when what another process reads must be kept, and that has become too much;
        NOT_DURABLE, when the disk did not make a change durable, and it was undone;
        STORE, for everything else (file damaged, connection lost).
    With OUTCOME_UNKNOWN alone nobody knows whether the change is kept.
    """

    async def commit(self, change: Change) -> Outcome:
        """Apply a change whole, durably, or not at all; answer only when it survives a crash.

        An edit that alters nothing (nothing set, nothing there to drop, no upload, no removal) writes nothing,
        not even the audit entry, unless the change puts identities; neither does a change that only reseals, when
        nothing is as it was read. When the caller is cancelled while it waits, the change may be applied all the
        same.

        Raises:
            NightsafeError: and nothing is changed, with the code
                SCRIPT_NOT_FOUND, when the script is absent and the edit brings no upload that may create it;
                NAMESPACE_NOT_FOUND, when an upload would create a script in a dispatch namespace that is not there;
                the code `must_be_live`, as the edit asks;
                that of `Need.problem` (one problem for each), for scripts in `needs` that are not there;
                BINDING_NAME_TAKEN (detail: the name; with the kind), when `set` without a rebind names a binding
                that is of a kind other than the secret ones;
                BINDING_NOT_FOUND (detail: the name), for a name in `drop` that is no secret, if `require_drop`;
                TOO_MANY_BINDINGS (detail: how many there would be), past `max_variables`;
                INHERIT (detail: the name; one problem for each), for inherited bindings that are not there,
                if `strict`, or if they must be;
                INHERIT_RENAMED (likewise), for secrets inherited under another name;
                VERSION_NOT_FOUND (detail: the UUID), for a version in `deploy` that the script does not have;
                SECRETS_CHANGED (detail: their names by comma and space), when `deploy` without `force` goes back to
                older versions only, and their newest has other secrets than the newest served now: others
                by value, or more, or fewer;
                COLLECTION_NOT_FOUND or COLLECTION_TAKEN (detail: its name), when the collection is absent or exists;
                ITEM_TAKEN or ITEM_NOT_FOUND (detail: the name; one problem for each), as `over` and
                `require_drop` ask;
                TOO_MANY_COLLECTIONS or TOO_MANY_ITEMS (detail: the limit);
                NAMESPACE_NOT_EMPTY (detail: how many scripts), for the removal of one that holds scripts;
                COLLECTION_NOT_EMPTY (detail: how many items), for the removal of one that has some, if `only_empty`;
                UNAVAILABLE, when one of `unchanged` has been changed or deleted meanwhile, or settings or a body that
                others were worked out from (`Settings.over`, `body_was`), or what leads to a script
                to remove (`pointing`), or a value comes that is sealed to a key
                that was retired;
                KEY_IN_USE (detail: the key's id), when values are sealed to the key to `retire`, unless `in_use`;
                INVALID, for a user whose e-mail, or a token whose digest, another one has;
                STORE, when the engine failed.
        """
        ...

    async def shown(self, ref: ScriptRef, name: str) -> bytes | None:
        """`Binding.shown` of one secret: one primary-key look-up, the hottest read there is."""
        ...

    async def secrets(self, ref: ScriptRef) -> list[bytes] | None:
        """`Binding.shown` of every secret of a script, by name; None when the script is absent."""
        ...

    async def bindings(self, ref: ScriptRef, version: int | None = None) -> list[Binding]:
        """Every binding of a script, by name, as of a version number (default: the newest)."""
        ...

    async def bindings_of(self, ref: ScriptRef, first: int, last: int) -> dict[int, list[Binding]]:
        """Every binding, by name, of each version between two numbers, both included, that the script has."""
        ...

    async def secret_versions(self, ref: ScriptRef) -> list[SecretVersion]:
        """The version that set each secret of a script to what it is now, by name; whoever kept it since did not."""
        ...

    async def script(self, ref: ScriptRef) -> Script | None:
        """One script."""
        ...

    async def script_by_id(self, account_id: str, script_id: str) -> Script | None:
        """One script outside of every dispatch namespace, by its tag."""
        ...

    async def scripts(self, account_id: str, namespace: str = "") -> list[Script]:
        """Every script of an account and dispatch namespace, by name."""
        ...

    async def scripts_after(self, account_id: str, namespace: str, name: str, limit: int = 100) -> list[Script]:
        """The next scripts of an account and dispatch namespace behind a name, by name; "" is before all of them."""
        ...

    async def last_deployed(self, script: Script) -> int | None:
        """When the newest of a script's deployments was made; None without any."""
        ...

    async def files(self, ref: ScriptRef, version: int | None = None) -> list[StoredFile]:
        """The files that a version runs, in the order they were uploaded (default: the newest), without contents."""
        ...

    async def version(self, ref: ScriptRef, version_id: bytes | None = None) -> Version | None:
        """One version of a script by its UUID (default: the newest)."""
        ...

    async def versions(self, ref: ScriptRef, *, offset: int = 0, limit: int = 100) -> list[Version]:
        """Versions of a script, newest first. `Script.version` tells how many there are."""
        ...

    async def versions_between(self, ref: ScriptRef, first: bytes, last: bytes) -> list[Version]:
        """Versions of a script whose UUID lies between two, both included, newest first."""
        ...

    async def deployment(self, ref: ScriptRef, deployment_id: bytes) -> Deployment | None:
        """One deployment of a script by its UUID."""
        ...

    async def deployments(
        self, ref: ScriptRef, *, offset: int = 0, limit: int = 100, period: Period = ALWAYS
    ) -> list[Deployment]:
        """Deployments of a script made in a period, newest first; the first of all is what is served now."""
        ...

    async def count_deployments(self, ref: ScriptRef, period: Period = ALWAYS) -> int:
        """How many deployments a script has had in a period."""
        ...

    async def collection(self, account_id: str, kind: Kind, name: str) -> Collection | None:
        """One collection by name; of kind SCRIPT, a script outside of every dispatch namespace."""
        ...

    async def collections(self, account_id: str, kind: Kind) -> list[Collection]:
        """Every collection of a kind, by name; of kind SCRIPT, none."""
        ...

    async def items(self, account_id: str, collection_id: str) -> list[Item]:
        """Every item of a collection, by environment and name."""
        ...

    async def count_scripts(self, account_id: str, namespace: str) -> int:
        """How many scripts a dispatch namespace holds."""
        ...

    async def bound_to_stores(self, account_id: str) -> list[tuple[str, bytes]]:
        """Every `secrets_store_secret` binding of any version of a script outside of dispatch namespaces.

        Each is told once, as the script's name and what is shown of the binding.
        """
        ...

    async def pointing(self, account_id: str, name: str) -> list[Pointer]:
        """Bindings that may lead to a script: of a kind that can, with its name somewhere in them.

        Those of the newest version of each script of the account, whatever dispatch namespace it is in, and those of
        older versions that are served.
        """
        ...

    async def settings_naming(self, account_id: str, name: str) -> list[tuple[ScriptRef, bytes]]:
        """`Script.script_settings` of the scripts, in any namespace, that hold a name somewhere as a JSON string."""
        ...

    async def keys_in_use(self, account_id: str) -> list[str]:
        """Ids of the recipient keys that values of an account are sealed to, sorted: a few look-ups."""
        ...

    async def count_values(self, account_id: str, key_id: str) -> int:
        """How many values of an account are sealed to a key; other tasks have their turn while it counts."""
        ...

    async def values_under(
        self, account_id: str, key_id: str, *, after: str = "", limit: int = 100, max_bytes: int = 1 << 20
    ) -> list[StoredValue]:
        """Values of an account that are sealed to a key, in the order of their marks.

        Args:
            account_id: whose.
            key_id: which key.
            after: mark of the value to go on behind, "" to begin.
            limit: the most values to give.
            max_bytes: the most bytes their records may have together; one is given in any case.

        Raises:
            NightsafeError: INVALID, when `after` is no mark at all.
        """
        ...

    async def value(self, account_id: str, mark: str) -> StoredValue | None:
        """The value that lies at a mark; None when there is none, or none of this account.

        Raises:
            NightsafeError: INVALID, when it is no mark at all.
        """
        ...

    async def retired_keys(self) -> list[str]:
        """Ids of the recipient keys that were retired, sorted."""
        ...

    async def ring_number(self) -> int:
        """The greatest number of a public ring that was in use; 0 before there was one with a number."""
        ...

    async def token(self, digest: bytes) -> Token | None:
        """The token with this SHA-256."""
        ...

    async def token_by_id(self, token_id: str) -> Token | None:
        """The token with this id, whoever owns it."""
        ...

    async def tokens_of_user(self, user_id: str) -> list[Token]:
        """Every token that a user owns, oldest first."""
        ...

    async def tokens_of_account(self, account_id: str) -> list[Token]:
        """Every token that an account owns, oldest first."""
        ...

    async def user(self, user_id: str) -> User | None:
        """One user by id."""
        ...

    async def user_by_email(self, email: str) -> User | None:
        """One user by e-mail, compared without regard to case."""
        ...

    async def user_by_service_key(self, digest: bytes) -> User | None:
        """The user with this SHA-256 of a service key."""
        ...

    async def memberships(self, user_id: str) -> list[Membership]:
        """The accounts a user belongs to, by account id."""
        ...

    async def members(self, account_id: str) -> list[Membership]:
        """Who belongs to an account, longest first."""
        ...

    async def account(self, account_id: str) -> Account | None:
        """One account by id."""
        ...

    async def accounts(self) -> list[Account]:
        """Every account, oldest first."""
        ...

    async def audit_entries(self, account_id: str, after: int = 0, limit: int = 100) -> list[tuple[int, AuditEntry]]:
        """Log entries of an account with their sequence numbers, from the one past `after`."""
        ...

    async def audit_head(self, account_id: str) -> AuditHead:
        """The latest log entry of an account."""
        ...

    async def served(self, ref: ScriptRef) -> Served:
        """What is served of a script and the latest log entry of its account, both as of one moment."""
        ...

    async def made_of(self, ref: ScriptRef, version_id: bytes | None = None) -> ServedVersion | None:
        """All that a version (default: the newest) is made of but its files' contents, with the percentage 0."""
        ...

    async def content_size(self, account_id: str, digest: bytes) -> int | None:
        """How many bytes the contents of this SHA-256 have; None when the account has none."""
        ...

    async def content_part(self, account_id: str, digest: bytes, start: int, size: int) -> bytes | None:
        """So many bytes of contents from some place on, while others on the loop go on; None when they are gone."""
        ...

    async def content(self, account_id: str, digest: bytes) -> bytes | None:
        """The body with this SHA-256 among the files of an account's scripts."""
        ...

    def generation(self) -> object:
        """A value that differs, by ==, once anything was committed by any process: for caches of reads."""
        ...

    async def changed(self, generation: object, seconds: float) -> None:
        """Return once `generation` differs from this one, at once if this process commits, or after some seconds."""
        ...

    async def check(self) -> None:
        """Read something and prove that writing is possible, also of more than a row.

        Raises:
            NightsafeError: as `commit` when the engine fails.
        """
        ...

    def failures(self) -> int:
        """How many transactions have failed: after another one, an earlier `check` says nothing any more."""
        ...

    def figures(self) -> Figures:
        """What it has done so far, and how long its log is."""
        ...

    async def close(self) -> None:
        """Finish the changes that wait, then let go of every file. Later calls raise NightsafeError STORE."""
        ...
