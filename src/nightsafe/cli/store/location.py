"""The place of a safe's rows: a SQLite file, or a PostgreSQL database."""

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from nightsafe.cli.data_directory.directory import DATABASE, DataDirectory
from nightsafe.cli.settings.store_option import address_in, address_of, refuse_shown_password
from nightsafe.cli.terminal.errors import CommandError

if TYPE_CHECKING:
    from nightsafe.store.postgres.engine.address import Address

_SQLITE: Final = b"SQLite format 3\0"
_HEAD_BYTES: Final = 64
FORMS: Final = (
    "name a data directory, a SQLite file, a URL postgresql://ROLE@HOST/DATABASE, or a file with such a URL"
)


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

    def is_same(self, other: "Location") -> bool:
        """Return whether another location is certainly this database, perhaps for another role."""
        if self.address is not None and other.address is not None:
            return (self.address.hosts, self.address.database) == (other.address.hosts, other.address.database)
        return self.path is not None and other.path is not None and self.path.resolve() == other.path.resolve()


def location_of(value: str, option: str) -> Location:
    """Return the location that an option names: a data directory, a SQLite file, a URL, or a file with one.

    A path without a file is that of a SQLite file.

    Args:
        value: the option's value.
        option: the option, for messages.

    Raises:
        click.BadParameter: if it is empty or another URL, or shows a password.
        CommandError, NightsafeError: if it cannot be one of these.
    """
    path = Path(value)
    if not value:
        raise click.BadParameter(FORMS, param_hint=option)
    if "://" in value:
        try:
            refuse_shown_password(value)
        except click.BadParameter as error:
            error.param_hint = option
            raise
        return Location(None, address_of(value))
    if path.is_file() and not _is_database(path, option):
        return Location(None, address_in(path))
    if path.is_dir():
        address = DataDirectory(path).address
        return Location(None if address else path / DATABASE, address, path)
    return Location(path, data=path.parent if (path.parent / "keys").is_dir() else None)


def _is_database(path: Path, option: str) -> bool:
    """Return whether a file is a SQLite database, or empty; refuse one that has no address either."""
    try:
        with path.open("rb") as file:
            begin = file.read(_HEAD_BYTES)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
    if not begin or begin.startswith(_SQLITE):
        return True
    if b"://" not in begin:
        raise CommandError(f"{path} is neither a SQLite database nor a file with a URL: with {option}, {FORMS}")
    return False
