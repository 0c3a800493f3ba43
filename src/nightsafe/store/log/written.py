"""The digests that an entry of the log names: what its change wrote, and what it removed.

Each digest has the place of what it is about. The latest digest for each place describes the whole state, so that
`nightsafe audit verify` can compare the log with the database. A place has one of these forms:

- `value/OWNER/VERSION/NAME`: a sealed binding; OWNER is a script's id, and VERSION is the version that put it
- `value/OWNER/ENVIRONMENT/NAME`: a sealed item of a collection; OWNER is the collection's id
- `version/OWNER/NUMBER`, `deployment/OWNER/NEWEST.NUMBER`, `triggers/OWNER`, `settings/OWNER`: of a script
- `collection/ID`, `item/OWNER/ENVIRONMENT/NAME`: without the sealed values
- `account/ID`, `user/ID`, `membership/ACCOUNT/USER`, `token/ID`, `retired/KEY`
- `archived/entries`: the number of archived entries

An entry leaves out the owner of its own script or collection: `settings//` in an entry whose `owner` is the script. A
statement also leaves out what its subject says: `3` for the version 3 of that script, `3/NAME` for a value.
"""

from collections.abc import Sequence
from enum import StrEnum
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import astuple

from nightsafe.store.collections import Collection, Item
from nightsafe.store.identities import Account, Identity, Membership, Token, User

ARCHIVED = "archived/entries"
"""The place of the number of archived entries."""

_TABLES = {Account: "account", User: "user", Membership: "membership", Token: "token"}
_OF_IDENTITIES = tuple(f"{table}/" for table in _TABLES.values())


class Subject(StrEnum):
    """The subjects of statements. RESEALED also names a record of the first form that was stated as it is."""

    DEPLOYMENT = "deployment"
    ITEM = "item"
    RECORD = "record"
    RESEALED = "resealed"
    TRIGGERS = "triggers"
    VERSION = "version"


class Written(Struct, omit_defaults=True):
    """The digests of what a change wrote, as its entry names them.

    Attributes:
        gone: the places that the change removed; `owner/ID` is a script or a collection with everything in it.
        owner: the id of the script or collection that the change is about, or "".
        rows: digests of rows, with their places.
        statements: the statements with their subjects and places, in the order in which they are in the group commit.
    """

    gone: list[str] = []
    owner: str = ""
    rows: list[tuple[str, bytes]] = []
    statements: list[tuple[Subject, bytes, str]] = []

    def full(self, place: str) -> str:
        """Return a place of this entry with its owner."""
        table, separator, rest = place.partition("//")
        return f"{table}/{self.owner}/{rest}" if separator and "/" not in table else place

    def full_statement(self, subject: Subject, place: str) -> str:
        """Return the place of a statement of this entry with its table and its owner."""
        if subject is Subject.RESEALED:
            return f"value/{place}"
        table = "value" if subject in {Subject.ITEM, Subject.RECORD} else subject
        return f"{table}/{self.owner}/{place}"


class _Entry(Struct):
    """The part of an entry that names what its change wrote."""

    written: Written = field(default_factory=Written)


_entries = msgspec.json.Decoder(_Entry)


def value_place(since: int | str, name: str) -> str:
    """Return the place of a sealed value after its owner.

    Args:
        since: the version that put a binding, or the environment of an item.
        name: the name of the binding or item.
    """
    return f"{since}/{name}"


def deployment_place(order: Sequence[int]) -> str:
    """Return the place of a deployment after its owner; `order` is as for `deployment_digest`."""
    return f"{order[0]}.{order[1]}"


def identity_place(identity: Identity) -> str:
    """Return the place of an account, a user, a membership or a token."""
    key = f"{identity.account_id}/{identity.user_id}" if isinstance(identity, Membership) else identity.id
    return f"{_TABLES[type(identity)]}/{key}"


def names_identities(entry: bytes) -> bool:
    """Return whether the change of an entry wrote or removed an identity. An entry without its text might have."""
    try:
        written = _entries.decode(entry).written
    except msgspec.DecodeError:
        return True
    return any(place.startswith(_OF_IDENTITIES) for place in (*written.gone, *(place for place, _ in written.rows)))


def is_newest(entry: bytes, later: Sequence[bytes]) -> bool:
    """Return whether an entry is among some later ones of the log, and none after it is about the same.

    Args:
        entry: the entry without what its change wrote.
        later: entries as the log has them, in order.
    """
    number = next((number for number, other in enumerate(later) if other.startswith(entry[:-1])), None)
    if number is None:
        return False
    try:
        subjects = _subjects(later[number])
        return bool(subjects) and not any(subjects & _subjects(other) for other in later[number + 1 :])
    except msgspec.DecodeError:
        return False


def _subjects(entry: bytes) -> set[str]:
    """Return what the change of an entry is about: a script or collection as a whole, and other places."""
    written = _entries.decode(entry).written
    places = {written.full(place) for place in (*written.gone, *(place for place, _ in written.rows))}
    return places | {f"owner/{written.owner}"} if written.owner else places


def identity_digest(identity: Identity) -> bytes:
    """Return the digest of the row of an identity."""
    return row_digest(type(identity).__name__, *astuple(identity))


def collection_digest(collection: Collection) -> bytes:
    """Return the digest of a collection's row."""
    return row_digest("Collection", *astuple(collection))


def item_digest(item: Item) -> bytes:
    """Return the digest of an item's row without its sealed value, which has a statement of its own."""
    shown = (item.environment, item.name, item.id, item.kind, item.shown, item.created_on, item.modified_on)
    return row_digest("Item", *shown, item.sealed is not None)


def archived_digest(count: int) -> bytes:
    """Return the digest of the number of archived entries."""
    return row_digest("Archived", count)


def row_digest(table: str, *values: Any) -> bytes:
    """Return the digest with which the log names a row: the SHA-256 of its table and its values as a JSON array."""
    return sha256(msgspec.json.encode((table, *values))).digest()
