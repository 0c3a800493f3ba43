"""The databases of a restore: that of the safe that is renamed, and the PostgreSQL database that is filled."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from nightsafe.cli.audit.database_source import read_log
from nightsafe.cli.data_directory.directory import DATABASE, DataDirectory
from nightsafe.cli.data_directory.store_address import STORE_URL
from nightsafe.cli.settings.store_option import FLAG, address_in, address_of, refuse_shown_password
from nightsafe.cli.store.snapshot import snapshot
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say
from nightsafe.cli.terminal.progress import byte_bar
from nightsafe.errors import NightsafeError
from nightsafe.sealing import files
from nightsafe.store.copying.copy import compare_rows, copy_rows, count_rows
from nightsafe.store.interface import Store
from nightsafe.store.sqlite.copying import SqliteSource

if TYPE_CHECKING:
    from nightsafe.store.postgres.engine.address import Address


def _read_option(context: click.Context, parameter: click.Parameter, value: str | None) -> "Address | None":
    """Return the address of the database that the option names."""
    if not value:
        return None
    if context.get_parameter_source(parameter.name or "") is not ParameterSource.ENVIRONMENT:
        refuse_shown_password(value)
    return address_of(value)


store_option = click.option(
    FLAG,
    metavar="URL|FILE",
    default=None,
    envvar="NIGHTSAFE_STORE",
    show_envvar=True,
    callback=_read_option,
    help="Empty PostgreSQL database for the rows, or a file with its URL; see docs/configuration.md.",
)


class RestoredStore:
    """A PostgreSQL database that gets the rows of a restored safe.

    Args:
        address: the database, which is empty.
        directory: the restored safe, in a folder that nobody else uses.
    """

    def __init__(self, address: "Address", directory: DataDirectory) -> None:
        self._address = address
        self._directory = directory
        self._origin = ""

    def fill(self) -> None:
        """Copy the rows to the database, and put its address in the place of the SQLite file.

        No program uses the database before `finish`.

        Raises:
            NightsafeError: as for `store copy`.
        """
        self._directory.run_unlocked(_migrate)
        asyncio.run(self._copy())
        address = self._directory.path / STORE_URL
        files.write(address, f"{self._address.url}\n".encode(), private=True, replace=False)
        for path in self._directory.path.glob(f"{self._directory.database.name}*"):
            path.unlink()

    def finish(self) -> None:
        """Let programs use the database."""
        from nightsafe.store.postgres.copying import PostgresTarget  # users of SQLite do not need its driver

        async def finish() -> None:
            """Remove the mark."""
            async with PostgresTarget.open(self._address, self._origin, "restore") as target:
                await target.finish()

        asyncio.run(finish())

    async def _copy(self) -> None:
        """Copy the rows, and compare them."""
        from nightsafe.store.postgres.copying import PostgresTarget  # as above

        with read_log(self._directory.database, "copy") as database:
            source = SqliteSource(database.db)
            self._origin = await source.origin()
            async with PostgresTarget.open(self._address, self._origin, "restore") as target:
                with byte_bar(2 * await count_rows(source), "Copying") as report:
                    await copy_rows(source, target, report)
                    await compare_rows(source, target, report)


@contextmanager
def old_database(data: Path) -> Iterator[Path]:
    """Give a SQLite file with the rows of the safe that is renamed, which may be damaged or absent."""
    path = data / DATABASE
    if not (data / STORE_URL).exists():
        yield path
        return
    with ExitStack() as stack:
        try:
            path = stack.enter_context(snapshot(address_in(data / STORE_URL)))
        except (NightsafeError, CommandError) as error:
            what = error.message if isinstance(error, CommandError) else error.problems[0].detail
            say(f"The database of the previous safe cannot be read: {what}. Keys that were retired since the backup")
            say("take new values again; retire them again: nightsafe keys retire")
        yield path


async def _migrate(_: Store) -> None:
    """Leave the store as it is: to open it brings it to the newest schema."""
