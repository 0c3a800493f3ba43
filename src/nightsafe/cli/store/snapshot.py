"""A snapshot of a PostgreSQL database in a SQLite file, for the commands that read a whole safe."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.process.signals import exit_on_signals
from nightsafe.cli.safe.archive import DATABASE
from nightsafe.cli.terminal.progress import byte_bar
from nightsafe.store.copying.copy import copy_rows, count_rows
from nightsafe.store.sqlite.copying import SqliteTarget

if TYPE_CHECKING:
    from nightsafe.store.postgres.engine.address import Address


@contextmanager
def snapshot(address: "Address") -> Iterator[Path]:
    """Give a SQLite file with all rows as they are now, in a folder of mode 0700 that is removed at the end.

    Args:
        address: the address of the PostgreSQL database, which may be served.

    Raises:
        NightsafeError: as for `take_snapshot`.
    """
    click.get_current_context().with_resource(exit_on_signals())  # a signal still removes the folder
    with tempfile.TemporaryDirectory(prefix="nightsafe-") as folder:
        path = Path(folder) / DATABASE
        take_snapshot(address, path)
        yield path


@contextmanager
def rows_file(directory: DataDirectory) -> Iterator[Path]:
    """Give the SQLite file of a data directory, or a snapshot of its PostgreSQL database.

    Raises:
        NightsafeError: as for `take_snapshot`.
    """
    if directory.address is None:
        yield directory.database
        return
    with snapshot(directory.address) as path:
        yield path


def take_snapshot(address: "Address", path: Path) -> None:
    """Write all rows of a PostgreSQL database, as they are now, into a new SQLite file of mode 0600.

    Args:
        address: the address of the PostgreSQL database, which may be served.
        path: the file.

    Raises:
        NightsafeError: INVALID, if there is no safe; STORE, if the database or the file cannot be used.
    """
    asyncio.run(write_snapshot(address, path))


async def write_snapshot(address: "Address", path: Path) -> None:
    """Take a snapshot like `take_snapshot`, on the running event loop."""
    from nightsafe.store.postgres.copying import PostgresSource  # users of SQLite do not need its driver

    async with PostgresSource.open(address) as source:
        with (
            SqliteTarget.open(path, await source.origin(), durable=False) as target,
            byte_bar(await count_rows(source), "Reading") as report,
        ):
            await copy_rows(source, target, report)
            await target.finish()
