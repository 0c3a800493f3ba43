"""The line of the processes that want to write."""

import asyncio
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.engines.tools.changes import REF, secret, setting, upload
from tests.stores import open_store
from tests.unit.store.test_processes import store_process

from nightsafe.store.sqlite import SqliteStore
from nightsafe.store.sqlite.engine.write_line import WriteLine

LOCKER = """
import fcntl, sys
with open(sys.argv[1], "r+b") as index:
    fcntl.lockf(index, fcntl.LOCK_EX, 1, int(sys.argv[2]))
    print("locked", flush=True)
    sys.stdin.read()
"""
"""A process that takes the next place in the line and does not write."""


class Place:
    """The place of the next process, in this process.

    Attributes:
        is_free: whether it can be taken.
        entered: how often it was taken and left.
    """

    def __init__(self) -> None:
        self.is_free = True
        self.entered = [0, 0]

    def enter_line(self) -> bool:
        """Take the place if it is free."""
        self.entered[0] += self.is_free
        return self.is_free

    def leave_line(self) -> None:
        """Leave the place."""
        self.entered[1] += 1


@pytest.fixture
def cursor(path: Path) -> Iterator[sqlite3.Cursor]:
    """Yield a cursor of a database that waits for no lock."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as db:
        yield db.cursor()


def test_a_process_does_not_begin_before_the_next_one(cursor: sqlite3.Cursor) -> None:
    """While another process is next, a process does not even try to begin."""
    place = Place()
    place.is_free = False

    assert not WriteLine(place, 10).try_to_begin(cursor)
    assert not cursor.connection.in_transaction
    place.is_free = True
    assert WriteLine(place, 10).try_to_begin(cursor)
    assert [1, 1] == place.entered


def test_the_next_process_waits_for_the_one_that_writes(cursor: sqlite3.Cursor, path: Path) -> None:
    """A process that is next keeps its place until the writing process ends, and fails when its patience is over."""
    place = Place()
    line = WriteLine(place, 0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as rival:
        rival.execute("BEGIN IMMEDIATE")
        assert not line.try_to_begin(cursor)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            line.begin(cursor)
        rival.execute("COMMIT")
    line.begin(cursor)

    assert cursor.connection.in_transaction
    assert [3, 3] == place.entered


def test_a_process_that_hangs_in_the_line_blocks_nobody(cursor: sqlite3.Cursor) -> None:
    """When the next process does not get on, the others write out of turn after half their patience."""
    place = Place()
    place.is_free = False
    WriteLine(place, 0.02).begin(cursor)

    assert cursor.connection.in_transaction
    assert [0, 0] == place.entered


async def test_the_place_is_held_between_processes(path: Path) -> None:
    """A process finds the place taken by another one, and free as soon as that one has ended in any way."""
    store = open_store(path)
    taker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LOCKER, f"{path}-shm", str(1 << 30)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert taker.stdout is not None
    await taker.stdout.readline()
    taken = not store._index.enter_line()
    taker.kill()
    await taker.wait()

    assert taken
    assert store._index.enter_line()
    store._index.leave_line()
    await store.close()


@pytest.mark.heavy
async def test_no_write_fails_beside_a_busy_process(path: Path) -> None:
    """Beside a process that writes without a pause, every write of this one succeeds, and the other goes on."""
    store: SqliteStore = open_store(path, busy_timeout=5)
    await store.commit(upload())
    other = await store_process("write", str(path), "OTHER")
    assert other.stdout is not None
    await other.stdout.readline()

    async def write(number: int) -> list[int]:
        """Set secrets one after the other; return the versions."""
        return [(await store.commit(setting(secret(f"S{number}"), most=10_000))).version for _ in range(5)]

    made = sorted(version for part in await asyncio.gather(*map(write, range(16))) for version in part)
    other.kill()
    acknowledged = [int(line.split()[0]) for line in (await other.stdout.read()).splitlines()[:-1]]
    await other.wait()

    assert 80 == len(set(made))
    assert [version for version in acknowledged if made[0] < version < made[-1]]
    assert set(made).isdisjoint(acknowledged)
    assert await store.secret(REF, "S0") is not None
    await store.close()
