"""Makes a safe in PostgreSQL for the measurements, fills it, and weighs its tables."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from benchmarks.seed import fill
from benchmarks.settings import ACCOUNT_ID, PER_SCRIPT
from tests.postgres.server import PostgresServer

from nightsafe.cli.data_directory.directory import DataDirectory

_PART = 20_000
"""How many scripts' secrets one statement copies."""

_COPY = """
INSERT INTO bindings (account_id, namespace, script, name, since, kind, shown, key_id, sealed, digest, stated_in,
  position)
SELECT b.account_id, b.namespace, 'script-' || lpad(n::text, 6, '0'), b.name, b.since, b.kind, b.shown, b.key_id,
  b.sealed, b.digest, b.stated_in, b.position
FROM generate_series($1::bigint, $2::bigint) n, bindings b WHERE b.script = 'script-000000'
"""
_SIZES = """
SELECT relname, pg_total_relation_size(oid)
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
"""


@dataclass(frozen=True, slots=True)
class PostgresSafe:
    """A safe in a database.

    Attributes:
        server: the server.
        database: the name of the database.
        path: its data directory.
        token: an API token of the account's owner.
    """

    server: PostgresServer
    database: str
    path: Path
    token: str

    @classmethod
    def create(cls, server: PostgresServer, database: str, path: Path) -> "PostgresSafe":
        """Make a database with an empty safe."""
        create_database(server, database)
        command = [str(Path(sys.executable).parent / "nightsafe"), "init", "--json", "--data", str(path)]
        environment = {**os.environ, "NIGHTSAFE_STORE": plain_url(server, database)}
        done = subprocess.run(
            [*command, "--account-id", ACCOUNT_ID], capture_output=True, text=True, check=True, env=environment
        )
        return cls(server, database, path, json.loads(done.stdout)["api_token"])

    def fill(self, first_scripts: int) -> None:
        """Upload scripts with their secrets through the store."""

        async def run() -> None:
            """Open the store, and fill it."""
            directory = DataDirectory(self.path)
            store = await directory.open_store()
            try:
                await fill(store.commit, await directory.safe_for(store), first_scripts)
            finally:
                await store.close()

        asyncio.run(run())

    def copy_secrets(self, first: int, scripts: int, seconds: float) -> int:
        """Copy the secrets of the first script, as rows alone, to further ones; return how many scripts there are.

        It ends early after some seconds.
        """

        async def run(db: Any) -> int:
            """Copy part after part."""
            end, number = time.monotonic() + seconds, first
            while number < scripts and time.monotonic() < end:
                await db.execute(_COPY, number, min(number + _PART, scripts) - 1, timeout=600)
                number = min(number + _PART, scripts)
            await db.execute("VACUUM (ANALYZE) bindings", timeout=600)
            await db.execute("CHECKPOINT", timeout=600)
            return number

        return int(query(self.server, self.database, run))

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each table, with its indexes and its large values."""
        rows = query(self.server, self.database, lambda db: db.fetch(_SIZES))
        return dict(rows)

    def copy_directory(self, path: Path) -> Path:
        """Copy the data directory for another node."""
        shutil.copytree(self.path, path)
        return path


def plain_url(server: PostgresServer, database: str) -> str:
    """Return the address of a database of a server that keeps what it answers."""
    return server.url(database).split("?", maxsplit=1)[0]


def create_database(server: PostgresServer, database: str) -> None:
    """Make an empty database."""
    query(server, "postgres", lambda db: db.execute(f"CREATE DATABASE {database}"))


def query(server: PostgresServer, database: str, work: Callable[[Any], Awaitable[Any]]) -> Any:
    """Work in a connection of its own, and return the result."""

    async def run() -> Any:
        """Connect and work."""
        db = await asyncpg.connect(plain_url(server, database), ssl="disable")
        try:
            return await work(db)
        finally:
            await db.close()

    return asyncio.run(run())


def secrets_of(scripts: int) -> int:
    """Return the number of secrets in some scripts."""
    return scripts * PER_SCRIPT
