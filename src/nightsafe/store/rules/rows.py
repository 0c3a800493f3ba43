"""The port between the rules of writing and an engine: the rows that a change reads, and the rows that it writes.

An engine implements these methods for one transaction. No method decides anything. A read sees what earlier methods
wrote in the same transaction. A `Place` names the statement of a row in the log.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol

from nightsafe.store.bundles import StoredApproval
from nightsafe.store.collections import Collection as StoredCollection
from nightsafe.store.collections import Item, Kind
from nightsafe.store.identities import Identity, RefusedRow, Token
from nightsafe.store.references import ReferenceCandidates
from nightsafe.store.rules.script_head import Head, Key, StoredState
from nightsafe.store.script_edit import Stamp
from nightsafe.store.scripts import Binding, Deployment, Module, Script, ScriptRef, Version


class Place(NamedTuple):
    """The place of a statement: its group commit, and its position there."""

    stated_in: int
    position: int


class LiveBinding(NamedTuple):
    """A binding of a script's newest version.

    Attributes:
        row: identifies its row, in the engine's own form.
        key_id: the key that its value is sealed to, or None.
        name, kind, shown: as in `Binding`.
        secret: whether it has a sealed value.
        digest: `binding_digest` of it; None if it is older than the log.
        since: the version that put it.
    """

    row: Any
    key_id: str | None
    name: str
    kind: str
    shown: bytes
    secret: bool
    digest: bytes | None
    since: int


class Texts(NamedTuple):
    """A script's JSON texts. In an edit, None stands for a text that stays."""

    settings: bytes | None = None
    script_settings: bytes | None = None
    triggers: bytes | None = None


class VersionRow(NamedTuple):
    """What the statement of a version is made of; `digest` is the statement, or None for an older version."""

    digest: bytes | None
    id: bytes
    deployment_id: bytes
    created_on: int
    annotations: bytes
    upload_version: int


class LogHead(NamedTuple):
    """The head of the log, and the number of its newest entry, which must be the size."""

    origin: str
    size: int
    frontier: bytes
    newest: int


class ScriptRows(Protocol):
    """The rows of scripts, their bindings, their versions and their files."""

    def head(self, key: Key) -> tuple[Head, StoredState] | None:
        """Return a script's head and its state; None when it is absent."""
        ...

    def remove_leftovers(self, key: Key) -> None:
        """Delete the bindings of an absent script: something else than Nightsafe has deleted its row."""
        ...

    def bindings(self, key: Key, names: Collection[str] | None = None) -> list[LiveBinding]:
        """Return a script's bindings with some names (default: all of them), in any order."""
        ...

    def texts(self, key: Key) -> Texts | None:
        """Return a script's texts; None when it is absent."""
        ...

    def content(self, account_id: str, script_id: str, version: int) -> tuple[str, bytes]:
        """Return the etag and the settings that a version set."""
        ...

    def script(self, key: Key) -> Script:
        """Return a script as lists show it."""
        ...

    def version(self, account_id: str, script_id: str, number: int) -> Version:
        """Return a version of a script."""
        ...

    def secrets(self, key: Key) -> tuple[bytes, ...]:
        """Return `shown` of every secret of a script, ordered by name."""
        ...

    def create_script(self, key: Key, script_id: str, at: int, triggers: Place) -> None:
        """Insert a script without versions; `triggers` is the place of the statement of its empty triggers."""
        ...

    def update_script(self, key: Key, head: Head, mac: bytes, at: int) -> None:
        """Write a script's head, its MAC and the time of the change."""
        ...

    def put_script_settings(self, key: Key, settings: bytes) -> None:
        """Write a script's own settings."""
        ...

    def put_triggers(self, key: Key, triggers: bytes, place: Place) -> None:
        """Write a script's triggers and the place of their statement."""
        ...

    def retire_binding(self, script_id: str, number: int, old: LiveBinding) -> None:
        """Copy a binding to the history, as one that versions before `number` have."""
        ...

    def remove_binding(self, old: LiveBinding) -> None:
        """Delete a binding from the newest version."""
        ...

    def put_binding(  # noqa: PLR0913, PLR0917 - the columns of a row
        self, key: Key, number: int, new: Binding, digest: bytes, place: Place | None, old: LiveBinding | None
    ) -> None:
        """Insert a binding that the version `number` puts, or write it over the row of `old`."""
        ...

    def add_version(  # noqa: PLR0913, PLR0917 - the columns of a row
        self, account_id: str, head: Head, stamp: Stamp, at: int, digest: bytes, place: Place
    ) -> None:
        """Insert the version that `head` has as its newest one."""
        ...

    def add_upload(self, account_id: str, head: Head, main_module: str, etag: str, settings: bytes) -> None:
        """Insert the code and the settings that the version after `head` sets."""
        ...

    def add_modules(self, account_id: str, head: Head, modules: Sequence[Module]) -> None:
        """Insert the files that the version after `head` sets, and their contents, once for each digest."""
        ...

    def copy_upload(self, account_id: str, head: Head, settings: bytes) -> None:
        """Insert other settings, with the current code, that the version after `head` sets."""
        ...

    def remove_script(self, key: Key, script_id: str) -> None:
        """Delete a script with its bindings, items and history; a long history may be purged after the commit."""
        ...


class HistoryRows(Protocol):
    """The rows of deployments and of older versions."""

    def version_number(self, account_id: str, script_id: str, version_id: bytes) -> int | None:
        """Return the number of a version, by its UUID."""
        ...

    def secrets_at(self, ref: ScriptRef, script_id: str, number: int) -> dict[str, tuple[str, bytes]]:
        """Return type and sealed record of each secret of a version, by name."""
        ...

    def version_row(self, account_id: str, script_id: str, number: int) -> VersionRow:
        """Return what the statement of a version is made of."""
        ...

    def add_deployment(
        self, account_id: str, script_id: str, order: tuple[int, int], new: Deployment, place: Place
    ) -> None:
        """Insert a deployment of existing versions; `order` is as for `deployment_digest`."""
        ...

    def bindings_at(self, ref: ScriptRef, script_id: str, number: int) -> list[tuple[str, str, bytes, int]]:
        """Return name, type, `shown` and first version of each binding of a version."""
        ...

    def keep_version_statement(
        self, account_id: str, script_id: str, number: int, digest: bytes, place: Place
    ) -> None:
        """Write the statement of a version that is older than the log."""
        ...

    def deployment(
        self, account_id: str, script_id: str, deployment_id: bytes
    ) -> tuple[Deployment, tuple[int, int]] | None:
        """Return a deployment with its order."""
        ...

    def older_deployments(
        self, account_id: str, script_id: str, limit: int
    ) -> list[tuple[Deployment, tuple[int, int]]]:
        """Return deployments of existing versions that have no statement, with their order."""
        ...

    def keep_deployment_statement(
        self, account_id: str, script_id: str, order: tuple[int, int], place: Place
    ) -> None:
        """Write the place of the statement of a deployment."""
        ...

    def is_older_deployment(self, account_id: str, script_id: str, order: tuple[int, int]) -> bool:
        """Return whether a deployment of existing versions has no statement."""
        ...

    def older_versions(self, account_id: str, script_id: str, limit: int) -> list[int]:
        """Return the numbers of versions without a statement, newest first."""
        ...

    def older_triggers(self, key: Key) -> bytes | None:
        """Return a script's triggers if they have no statement."""
        ...

    def keep_triggers_statement(self, key: Key, place: Place) -> None:
        """Write the place of the statement of a script's triggers."""
        ...

    def keep_digest(self, key: Key, old: LiveBinding, digest: bytes) -> None:
        """Write the digest of a binding that is older than the log."""
        ...

    def keep_mac(self, key: Key, mac: bytes, content: bytes) -> None:
        """Write a script's MAC and the digest of its content."""
        ...


class CollectionRows(Protocol):
    """The rows of collections and their items."""

    def collection(self, account_id: str, kind: Kind, name: str) -> StoredCollection | None:
        """Return a collection."""
        ...

    def items(self, account_id: str, collection_id: str) -> list[Item]:
        """Return every item of a collection, ordered by environment and name."""
        ...

    def count_collections(self, account_id: str, kind: Kind) -> int:
        """Return how many collections of a kind an account has."""
        ...

    def count_items(self, account_id: str, kind: Kind) -> int:
        """Return how many items the collections of a kind have in an account."""
        ...

    def count_scripts(self, account_id: str, namespace: str) -> int:
        """Return how many scripts a dispatch namespace holds."""
        ...

    def has_collection_id(self, account_id: str, collection_id: str) -> bool:
        """Return whether a collection of the account has an id."""
        ...

    def item_statement(
        self, account_id: str, collection_id: str, item: Item
    ) -> tuple[int | None, int | None, int | None]:
        """Return since when an item's value is there, and the place of its statement."""
        ...

    def put_collection(self, new: StoredCollection) -> None:
        """Insert a collection, or write its body and time of modification over the existing row."""
        ...

    def drop_item(self, account_id: str, collection_id: str, item: Item) -> None:
        """Delete an item."""
        ...

    def put_item(
        self, account_id: str, collection_id: str, item: Item, stated: tuple[int | None, int | None, int | None]
    ) -> None:
        """Insert an item; `stated` is as from `item_statement`."""
        ...

    def remove_collection(self, account_id: str, collection_id: str) -> None:
        """Delete a collection with its items."""
        ...


class SafeRows(Protocol):
    """The rows of identities, keys, values, approvals and references."""

    def is_unchanged(self, token: Token) -> bool:
        """Return whether a token still exists with the same secret, and has not changed since it was read."""
        ...

    def put_identity(self, identity: Identity, mac: bytes) -> None:
        """Create or replace an identity by its id, or a membership by its account and user.

        Raises an error of the engine when another user has the e-mail, or another token has the digest.
        """
        ...

    def drop_token(self, token_id: str) -> bool:
        """Delete a token; return whether it existed."""
        ...

    def drop_refused(self, row: RefusedRow) -> bool:
        """Delete a row, unless it has been written again since it was read; return whether it was deleted."""
        ...

    def is_retired(self, key_id: str) -> bool:
        """Return whether a key is retired."""
        ...

    def retire_key(self, key_id: str, at: int) -> bool:
        """Insert a retired key; return False if it is there already."""
        ...

    def is_key_in_use(self, key_id: str) -> bool:
        """Return whether any account has a value that is sealed to a key."""
        ...

    def keep_ring_number(self, number: int) -> None:
        """Write the number of a ring, if it is the greatest so far."""
        ...

    def stored_value(self, account_id: str, mark: str, sealed: bytes) -> tuple[int, str] | None:
        """Return since when a sealed value is at a mark, and its place in the log; None if it is not there."""
        ...

    def reseal(self, account_id: str, mark: str, sealed: bytes, key_id: str, place: Place) -> None:
        """Write another sealed value over the one at a mark."""
        ...

    def references(self, account_id: str, name: str) -> ReferenceCandidates:
        """Return what may lead to a script, as the reads of the store do."""
        ...

    def keep_approval(self, account_id: str, stored: StoredApproval) -> None:
        """Insert an approval, unless the same approver has approved the same code at the same time."""
        ...

    def empty_archived(self, first: int, end: int) -> bool:
        """Empty entries of the log, if `first` is the number of archived ones; return whether it is."""
        ...


class LogRows(Protocol):
    """The rows of the log."""

    def add_entry(self, number: int, account_id: str, entry: bytes, leaf: bytes) -> None:
        """Insert an entry with its number, which starts at 1."""
        ...

    def add_node(self, level: int, number: int, root: bytes) -> None:
        """Insert the root of a full tile."""
        ...

    def add_group(self, first: int, size: int, root: bytes, digests: bytes, signer: tuple[str, bytes]) -> None:
        """Insert the statements of a group commit, with the id of the signer and the signature."""
        ...

    def advance_log(self, size: int, frontier: bytes, checkpoint: bytes) -> None:
        """Write the head of the log."""
        ...


class Rows(ScriptRows, HistoryRows, CollectionRows, SafeRows, LogRows, Protocol):
    """All rows of a transaction."""
