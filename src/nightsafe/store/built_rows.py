"""Builds values from the rows that the engines read, whose columns are in the same order."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

import msgspec

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.bundles import StoredFile
from nightsafe.store.collections import Collection, Item, Kind
from nightsafe.store.scripts import Binding, Deployment, Script, ScriptRef, Version

_Row = TypeVar("_Row", bound=msgspec.Struct)
_TRAFFIC: Final = msgspec.json.Decoder(list[tuple[str, float]])
ITEM_COLUMNS: Final = ("environment", "name", "id", "kind", "shown", "created_on", "modified_on", "sealed", "key_id")
"""The columns of `item_of`."""


def build(kind: type[_Row], row: Iterable[Any]) -> _Row:
    """Build a struct from its fields' values, in order."""
    return kind(**dict(zip(kind.__struct_fields__, row, strict=True)))


def script_of(account_id: str, row: Iterable[Any]) -> Script:
    """Build a script from its name, its namespace, and the other fields in order."""
    name, namespace, *rest = row
    return build(Script, (ScriptRef(account_id, name, namespace), *rest))


def version_of(row: Iterable[Any]) -> Version:
    """Build a version from its fields in order."""
    return build(Version, row)


def deployment_of(row: Iterable[Any]) -> Deployment:
    """Build a deployment from its fields, its own version, `traffic` and its order.

    If `traffic` is NULL, its own version gets all requests.
    """
    *fields, version_id, traffic, _, _ = row
    shares = [(version_id, 100.0)] if traffic is None else _shares(traffic)
    return build(Deployment, (*fields, tuple(shares)))


def traffic_of(versions: Iterable[tuple[bytes, float]]) -> bytes:
    """Encode versions and their percentages for the column `traffic`."""
    return msgspec.json.encode([(version_id.hex(), percentage) for version_id, percentage in versions])


def collection_of(account_id: str, kind: Kind, row: Iterable[Any]) -> Collection:
    """Build a collection from its name, id, body, and times."""
    name, collection_id, body, created_on, modified_on = row
    return Collection(
        account_id=account_id,
        kind=kind,
        name=name,
        id=collection_id,
        body=body,
        created_on=created_on,
        modified_on=modified_on,
    )


def item_of(row: Sequence[Any]) -> Item:
    """Build an item from ITEM_COLUMNS."""
    return Item(**dict(zip(ITEM_COLUMNS, row, strict=True)))


def files_of(ref: ScriptRef, rows: Sequence[Any]) -> list[StoredFile]:
    """Build the files of a script's version from name, content type, digest and size of each.

    Raises:
        NightsafeError: CANNOT_OPEN, when the contents of a file are missing.
    """
    for name, *_, size in rows:
        if size is None:
            raise NightsafeError(
                Code.CANNOT_OPEN,
                f"the contents of the file {name!r} of the script {ref.name!r} are missing: something else has"
                " changed the database. Upload the same code again, or restore a backup",
            )
    return [StoredFile(*row) for row in rows]


class BindingsOfVersions:
    """The bindings of consecutive versions, by rows that each belong to several versions.

    Args:
        versions: the numbers of the versions.
    """

    def __init__(self, versions: range) -> None:
        self._versions = versions
        self._found: dict[int, dict[str, Binding]] = {number: {} for number in versions}

    def add(self, binding: Binding, since: int, until: int | None = None) -> None:
        """Add a binding to the versions from `since` on and before `until` that have none of its name."""
        end = self._versions.stop if until is None else min(until, self._versions.stop)
        for number in range(max(since, self._versions.start), end):
            self._found[number].setdefault(binding.name, binding)

    def by_version(self) -> dict[int, list[Binding]]:
        """Return the bindings of each version, ordered by name."""
        return {number: [by_name[name] for name in sorted(by_name)] for number, by_name in self._found.items()}


def _shares(traffic: bytes) -> list[tuple[bytes, float]]:
    """Decode the column `traffic`."""
    return [(bytes.fromhex(version_id), percentage) for version_id, percentage in _TRAFFIC.decode(traffic)]
