"""A rolling upgrade: a database of a newer schema under this program, which goes on to serve."""

import asyncio
import secrets
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TypeVar

import asyncpg
import pytest
from tests.clients.wire.talk import Wire
from tests.live.tools.running import HELLO, upload
from tests.postgres.databases import Databases
from tests.server import Safe, Server, make_safe, run

from nightsafe.errors import NightsafeError
from nightsafe.store.postgres.engine import schema

T = TypeVar("T")

_ROUNDS = 30
_NAMES = 100
_SECONDS = 60
_EXPAND = """
ALTER TABLE bindings ADD COLUMN note TEXT NOT NULL DEFAULT '';
CREATE INDEX bindings_by_note ON bindings (account_id, note);
"""
"""An additive migration: what a program of the newer schema needs, and this program does not know."""
_CONTRACT = "ALTER TABLE bindings ALTER COLUMN note DROP DEFAULT;"
"""A migration on which this program cannot work: its rows would lack the note."""


class Clients:
    """A writer and a reader of a server, each on its own connection, until `end`.

    Args:
        server: the server.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._rounds = {"writer": 0, "reader": 0}
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self.names: list[str] = []

    def write(self) -> None:
        """Put one secret after another."""
        with Wire.to(self._server) as wire:
            for number in self._numbers("writer"):
                name = f"N{number % _NAMES}"
                answer = wire.put("worker", name, "value")
                assert answer.status == 200, answer
                self.names.append(name)

    def read(self) -> None:
        """Read the list of the secrets, which has every name that was answered before."""
        with Wire.to(self._server) as wire:
            for _ in self._numbers("reader"):
                answered = list(self.names)
                assert set(answered) <= set(wire.names("worker"))

    def wait(self) -> None:
        """Wait until both have done some more."""
        with self._changed:
            goal = {name: rounds + _ROUNDS for name, rounds in self._rounds.items()}
            done = self._changed.wait_for(
                lambda: self._ended.is_set() or all(self._rounds[name] >= goal[name] for name in goal), _SECONDS
            )
            assert done, self._rounds

    def end(self) -> None:
        """Let both end."""
        self._ended.set()
        with self._changed:
            self._changed.notify_all()

    def _numbers(self, name: str) -> Iterator[int]:
        """Yield the numbers of a client's rounds until the end, which a failure brings about, too."""
        try:
            for number in count():
                if self._ended.is_set():
                    return
                yield number
                with self._changed:
                    self._rounds[name] += 1
                    self._changed.notify_all()
        finally:
            self.end()


@contextmanager
def clients(server: Server) -> Iterator[Clients]:
    """Yield clients that write and read during the block; at its end, every request has succeeded."""
    working = Clients(server)
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(working.write), pool.submit(working.read)]
        try:
            yield working
        finally:
            working.end()
        for future in futures:
            future.result(_SECONDS)


class Upgraded:
    """A safe that a role serves, and its database, which its owner migrates.

    Args:
        safe: the safe; its `store-url` names the serving role.
        url: the URL of the database for the owner.
    """

    def __init__(self, safe: Safe, url: str) -> None:
        self.safe = safe
        self._url = url.split("?", maxsplit=1)[0]

    def execute(self, sql: str) -> None:
        """Execute statements as the owner."""
        asyncio.run(self._with(lambda db: db.execute(sql)))

    def migrate(self) -> None:
        """Migrate as the owner, by the program of the newer schema."""
        asyncio.run(self._with(schema.migrate))

    def version(self) -> int:
        """Return the version of the schema."""
        return asyncio.run(self._with(schema.state_of)).version

    @contextmanager
    def held_table(self) -> Iterator[None]:
        """Hold a table in a transaction that reads it, during the block."""
        with asyncio.Runner() as runner:
            db = runner.run(asyncpg.connect(self._url, ssl="disable"))
            runner.run(db.execute("BEGIN; SELECT count(*) FROM bindings"))
            try:
                yield
            finally:
                runner.run(db.close())

    async def _with(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Return what a work returns, in a connection of the owner."""
        db = await asyncpg.connect(self._url, ssl="disable")
        try:
            return await work(db)
        finally:
            await db.close()


@pytest.fixture
def upgraded(databases: Databases, tmp_path: Path) -> Upgraded:
    """Return a new safe whose `store-url` names a role with the rights of `store grants` only."""
    url, role = asyncio.run(databases.create_empty()), f"rolling_{secrets.token_hex(4)}"
    made = Upgraded(make_safe(tmp_path, url=url), url)
    made.execute(f"CREATE ROLE {role} LOGIN")
    printed = run("store", "grants", "--role", role, "--data", str(made.safe.path), cwd=tmp_path)
    made.execute(printed.stdout)
    (made.safe.path / "store-url").write_text(databases.server.url(url.rsplit("/", 1)[1].split("?")[0], role))
    return made


@contextmanager
def newer_program(oldest: tuple[int, ...], *steps: str) -> Iterator[None]:
    """Let this process be the program with further migrations; the server's process stays as it is.

    Args:
        oldest: the oldest versions whose programs work on the results.
        steps: the SQL of the further migrations.
    """
    known = schema.migrations()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "migrations", lambda: [*known, *steps])
        patch.setattr(schema, "_OLDEST", (1,) * len(known) + oldest)
        schema._made.cache_clear()
        yield
    schema._made.cache_clear()


def test_this_program_serves_before_during_and_after_a_newer_schema(upgraded: Upgraded) -> None:
    """While a newer program adds a column and an index, every write and read of this one succeeds.

    So they do after it has started again. Its rows have the new column's default, and the log verifies.
    """
    with Server(upgraded.safe) as server:
        with Wire.to(server) as wire:
            upload(wire, "worker", HELLO)
        with clients(server) as working:
            working.wait()
            with newer_program((1,), _EXPAND):
                upgraded.migrate()
            working.wait()
        server.stop()
        server.start()
        with clients(server) as working:
            working.wait()
        with Wire.to(server) as wire:
            assert set(working.names) <= set(wire.names("worker"))
    verified = run("audit", "verify", "--data", str(upgraded.safe.path), cwd=upgraded.safe.path.parent)
    assert verified.returncode == 0, verified.stderr


def test_requests_go_on_while_a_migration_waits_for_a_table(upgraded: Upgraded) -> None:
    """A long transaction that holds a table delays the migration, and no request for longer than one try waits."""
    with Server(upgraded.safe) as server, ThreadPoolExecutor(1) as pool, newer_program((1,), _EXPAND):
        with Wire.to(server) as wire:
            upload(wire, "worker", HELLO)
        with upgraded.held_table(), clients(server) as working:
            migration = pool.submit(upgraded.migrate)
            working.wait()
            assert not migration.done()
        migration.result(_SECONDS)
        assert upgraded.version() == 2


def test_a_migration_that_never_gets_a_table_is_refused_with_words(
    upgraded: Upgraded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a table is held during all tries, the refusal says what to do, and nothing is changed."""
    monkeypatch.setattr(schema, "_TRIES", 1)
    with newer_program((1,), _EXPAND), upgraded.held_table():
        with pytest.raises(NightsafeError, match="run nightsafe migrate again; nothing was changed"):
            upgraded.migrate()
        assert upgraded.version() == 1


def test_a_contracted_schema_is_refused_with_words(upgraded: Upgraded) -> None:
    """After a contract step this program does not start, says why, and cannot migrate back."""
    with newer_program((1, 2), _EXPAND, _CONTRACT):
        upgraded.migrate()
    for words in ("serve --port 0", "token list", "migrate --yes"):
        refused = run(*words.split(), "--data", str(upgraded.safe.path), cwd=upgraded.safe.path.parent)
        assert refused.returncode == 1, words
        said = " ".join(refused.stderr.split())
        assert "the database has schema version 3, but this program knows only up to 1: use a newer program" in said
