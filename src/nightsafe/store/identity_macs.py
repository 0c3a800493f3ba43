"""The MACs of the rows of identities: the only place that makes them, and the only one that checks them.

A row of `tokens`, `users`, `memberships` or `accounts` counts only with the MAC of all its columns, under a key that
is not in the database. So a row that somebody else has written into the database is no identity.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, get_type_hints

import structlog
from msgspec.structs import astuple

from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.encoding import encode
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.store.built_rows import build
from nightsafe.store.identities import Account, Identity, Membership, Token, User

_log = structlog.get_logger()

_TAG: Final = b"nightsafe-identity-row/1 "
_MAX_LOGGED: Final = 100
"""How many rows one process names in its log: enough to see that the database was changed."""
_REASON: Final = "its MAC is missing or wrong, so something else than Nightsafe wrote it; run: nightsafe doctor"
_MAX_NAME_LENGTH: Final = 80


class IdentityTable(NamedTuple):
    """A table of identities.

    Attributes:
        name: its name.
        kind: the struct whose fields are its columns, without `mac` and columns computed from others.
        keys: how many of the first columns identify a row.
    """

    name: str
    kind: type[Identity]
    keys: int = 1

    @property
    def columns(self) -> str:
        """The columns that the MAC covers, for a statement."""
        return ", ".join(self.kind.__struct_fields__)


IDENTITY_TABLES: Final = (
    IdentityTable("accounts", Account),
    IdentityTable("users", User),
    IdentityTable("memberships", Membership, keys=2),
    IdentityTable("tokens", Token),
)
_TABLE_OF: Final = {table.kind: table for table in IDENTITY_TABLES}


def message_of(identity: Identity) -> bytes:
    """Return the message that an identity's MAC authenticates: its table and every field, with the fields' types.

    Raises:
        TypeError: when a field has a type that no column of an identity has.
    """
    table = _TABLE_OF[type(identity)]
    return encode(_TAG + table.name.encode("ascii"), *map(_encode_field, astuple(identity)))


class IdentityMacs:
    """Makes and checks the MACs of one store's identities.

    Args:
        key: the key; without one, no identity can be written, and none that is stored counts.
    """

    def __init__(self, key: IdentityKey | None) -> None:
        self._key = key
        self._logged: set[str] = set()

    def make(self, identity: Identity) -> bytes:
        """Return the MAC to store with an identity.

        Raises:
            NightsafeError: STORE, without a key.
        """
        if self._key is None:
            raise NightsafeError(Code.STORE, "the store was opened without the identity key, so it takes no identity")
        return self._key.mac(message_of(identity))

    def admits(self, identity: Identity, mac: object) -> bool:
        """Return whether an identity was stored with this MAC. The log names a row that was not, once."""
        if self._key is not None and is_mac_of(self._key, identity, mac):
            return True
        table = _TABLE_OF[type(identity)]
        self._report(table.name, name_of(table, astuple(identity)))
        return False

    def _report(self, table: str, row: str) -> None:
        """Log a row that does not count, unless it was logged before or too many were."""
        mark = f"{table} {row}"
        if mark in self._logged or len(self._logged) >= _MAX_LOGGED:
            return
        self._logged.add(mark)
        _log.error("identity.row_refused", table=table, row=row, reason=_REASON)


def is_mac_of(key: IdentityKey, identity: Identity, mac: object) -> bool:
    """Return whether this is the MAC of an identity, which may have fields of foreign types."""
    try:
        message = message_of(identity)
    except TypeError:
        return False
    return key.is_mac(message, mac)


def identity_of(table: IdentityTable, values: Sequence[Any]) -> Identity | None:
    """Build an identity from its columns; return None if one has a foreign type."""
    types = get_type_hints(table.kind).values()
    if not all(isinstance(value, kind) for value, kind in zip(values, types, strict=True)):
        return None
    return build(table.kind, values)


def name_of(table: IdentityTable, values: Sequence[object]) -> str:
    """Return the columns that identify a row, safe to print: they may be an attacker's text."""
    name = " ".join(str(value) for value in values[: table.keys])[:_MAX_NAME_LENGTH]
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _encode_field(value: object) -> bytes:
    """Encode a field with its type, so that no two values have the same encoding."""
    match value:
        case None:
            return b"n"
        case int():
            return b"i%d" % value
        case str():
            return b"t" + value.encode()
        case bytes():
            return b"b" + value
    raise TypeError(type(value).__name__)
