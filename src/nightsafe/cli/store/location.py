"""The place of a safe's rows: a SQLite file, or a PostgreSQL database."""

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from nightsafe.cli.data_directory.directory import DATABASE, DataDirectory
from nightsafe.cli.settings.store_option import address_of, refuse_shown_password
from nightsafe.cli.terminal.errors import CommandError

if TYPE_CHECKING:
    from nightsafe.store.postgres.engine.address import Address

_SQLITE: Final = b"SQLite format 3\0"


class Location(NamedTuple):
    """The place of a safe's rows.

    Attributes:
        path: the SQLite file, or None.
        address: the address of the PostgreSQL database, or None.
        data: the data directory that it belongs to, or None.
    """

    path: Path | None
    address: "Address | None" = None
    data: Path | None = None

    def __str__(self) -> str:
        """Return its name in messages, without a password."""
        return str(self.path or self.address)


def location_of(value: str) -> Location:
    """Return the location that an argument names: a data directory, a SQLite file, a URL, or a file with one.

    A path without a file is that of a SQLite file.

    Raises:
        CommandError, NightsafeError: if it cannot be one of these, or shows a password.
    """
    path = Path(value)
    if "://" in value or (path.is_file() and not _is_database(path)):
        refuse_shown_password(value)
        return Location(None, address_of(value))
    if path.is_dir():
        address = DataDirectory(path).address
        return Location(None if address else path / DATABASE, address, path)
    return Location(path, data=path.parent if (path.parent / "keys").is_dir() else None)


def _is_database(path: Path) -> bool:
    """Return whether a file is a SQLite database, or empty."""
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) in {_SQLITE, b""}
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
