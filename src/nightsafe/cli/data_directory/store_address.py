"""Finds the address of a safe's PostgreSQL database: from `--store`, `NIGHTSAFE_STORE` or the data directory."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nightsafe.cli.settings.store_option import address_in, address_of, given_store
from nightsafe.errors import Code, NightsafeError

if TYPE_CHECKING:
    from nightsafe.store.postgres.engine.address import Address

STORE_URL: Final = "store-url"
"""The file of a data directory that has the address."""


def find_address(data: Path, database: Path) -> "Address | None":
    """Return the address of a safe's PostgreSQL database; None for a safe in SQLite.

    Args:
        data: the data directory.
        database: the file of a safe in SQLite.

    Raises:
        NightsafeError: INVALID, when the address cannot be used, or the directory has a database file as well.
        CommandError: when a file with the address cannot be read, or others can read it.
    """
    given, file = given_store(), data / STORE_URL
    if given is None and not file.exists():
        return None
    if find_spec("asyncpg") is None:
        raise NightsafeError(
            Code.INVALID, "the driver of PostgreSQL is not installed; run: pip install 'nightsafe[postgres]'"
        )
    address = address_in(file) if given is None else address_of(given)
    if database.exists():
        source = str(file) if given is None else "--store or NIGHTSAFE_STORE"
        raise NightsafeError(
            Code.INVALID,
            f"there are two databases: the file {database}, and {address} by {source}. Leave out --store and"
            " NIGHTSAFE_STORE, or move the one that is not the safe's out of the directory",
        )
    return address
