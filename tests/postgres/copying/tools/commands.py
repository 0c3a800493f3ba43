"""Runs `nightsafe` in this process, and looks at the rows of a database."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import structlog
from click.testing import CliRunner, Result
from tests.postgres.databases import Databases

from nightsafe.cli.data_directory.store_address import STORE_URL
from nightsafe.cli.main import cli
from nightsafe.errors import NightsafeError
from nightsafe.store.copying.tables import Row, Table, tables


def call(*arguments: str | Path, code: int = 0) -> str:
    """Run a command, check its exit code, and return what it has printed, or its refusal."""
    done: Result = CliRunner().invoke(cli, [*map(str, arguments)])
    structlog.reset_defaults()
    if isinstance(done.exception, NightsafeError):
        assert code == 1, done.exception.problems[0].detail
        return done.exception.problems[0].detail
    assert code == done.exit_code, (done.output, done.exception)
    return done.stdout if "--json" in arguments else done.output


def rows_of_file(path: Path) -> dict[str, list[Row]]:
    """Return all rows of a SQLite file, by table, in the order of their keys."""
    with closing(sqlite3.connect(path)) as db:
        return {table.name: sorted(db.execute(_select(table)), key=table.key_of) for table in tables()}


def rows_of_database(address: str) -> dict[str, list[Row]]:
    """Return all rows of a PostgreSQL database, by table, in the order of their keys."""
    return {table.name: sorted(map(tuple, query(address, _select(table))), key=table.key_of) for table in tables()}


def _select(table: Table) -> str:
    """Return the query for all rows of a table."""
    return f"SELECT {', '.join(table.columns)} FROM {table.name}"  # noqa: S608 - our own names


def new_database(postgres: Databases) -> str:
    """Create an empty database, and return its address."""
    url, _, _ = asyncio.run(postgres.create_empty()).partition("?")
    return f"{url}?allow_fsync_off=yes"


def query(address: str, sql: str) -> list[Any]:
    """Run a statement on a PostgreSQL database, and return its rows."""

    async def fetch() -> list[Any]:
        """Connect and run it."""
        db = await asyncpg.connect(address.partition("?")[0])
        try:
            return list(await db.fetch(sql))
        finally:
            await db.close()

    return asyncio.run(fetch())


def move(data: Path, address: str) -> Path:
    """Move the rows of a data directory to an empty PostgreSQL database; return the SQLite file, at its new place."""
    call("store", "copy", "--from", data, "--to", address)
    point_to(data, address)
    return Path((data / "nightsafe.db").rename(data.parent / "moved.db"))


def point_to(data: Path, address: str) -> None:
    """Write the address of its database into a data directory."""
    (data / STORE_URL).write_text(address)
    (data / STORE_URL).chmod(0o600)
