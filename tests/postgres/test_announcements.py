"""Announcements between the stores of several nodes on one real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from tests.postgres.databases import Databases
from tests.stores import IDENTITY_KEY, SIGNING_KEY, open_store

from nightsafe.store.announcements import LONGEST_ANNOUNCEMENT, Announcements
from nightsafe.store.postgres.engine.address import parse
from nightsafe.store.postgres.engine.commit_feed import CommitFeed
from nightsafe.store.postgres.engine.connection import connect
from nightsafe.store.postgres.store import PostgresStore

_SECONDS = 60


class Listener:
    """A store, and what arrives at it."""

    def __init__(self, store: PostgresStore) -> None:
        self.store = store
        self._texts: asyncio.Queue[str] = asyncio.Queue()
        self._resumptions = asyncio.Semaphore(0)
        store.on_announcement(self._texts.put_nowait, self._resumptions.release)

    async def resumed(self) -> None:
        """Wait until the store tells once more that texts arrive from now on."""
        await asyncio.wait_for(self._resumptions.acquire(), _SECONDS)

    async def heard(self, count: int) -> list[str]:
        """Return the next texts."""
        return [await asyncio.wait_for(self._texts.get(), _SECONDS) for _ in range(count)]


@pytest.fixture
async def url(databases: Databases) -> AsyncIterator[str]:
    """Yield the address of a database with the tables of a safe, for the role that serves."""
    url = await databases.create()
    yield url
    await databases.drop(url)


@pytest.fixture
async def pair(url: str) -> AsyncIterator[list[Listener]]:
    """Yield the stores of two nodes that listen."""
    stores = [await PostgresStore.open(parse(url), IDENTITY_KEY, signer=SIGNING_KEY) for _ in range(2)]
    listeners = [Listener(store) for store in stores]
    for listener in listeners:
        await listener.resumed()
    yield listeners
    for store in stores:
        await store.close()


async def test_texts_reach_every_node_in_their_order(pair: list[Listener]) -> None:
    """Each node gets every text, its own too, in the order in which they were sent, and the longest one whole."""
    texts = ["one", "zwölf €", "x" * LONGEST_ANNOUNCEMENT]
    await pair[0].store.announce(texts)
    await pair[0].store.announce(["last"])

    for listener in pair:
        assert [*texts, "last"] == await listener.heard(4)


async def test_texts_arrive_again_after_a_lost_connection(
    pair: list[Listener], url: str, databases: Databases
) -> None:
    """After the server has ended the connections that listen, the nodes are told, and hear each other again."""
    for turn in range(4):
        assert 2 == await databases.end_listeners(url)
        for listener in pair:
            await listener.resumed()
        await pair[turn % 2].store.announce([str(turn)])
        for listener in pair:
            assert [str(turn)] == await listener.heard(1)


async def test_a_text_that_cannot_be_sent_is_lost_without_an_error(pair: list[Listener]) -> None:
    """A text that the server refuses is lost, as is one for a closed store, and later ones arrive."""
    first, second = pair
    await first.store.announce(["x" * (LONGEST_ANNOUNCEMENT + 1)])
    await first.resumed()
    await first.store.announce(["after"])
    assert ["after"] == await second.heard(1)
    await first.store.close()
    await first.store.announce(["lost"])
    await second.store.announce(["found"])

    assert ["found"] == await second.heard(1)


async def test_a_database_that_cannot_notify_carries_no_announcements(url: str) -> None:
    """Without notifications in the database, nothing is announced and no connection stays open."""
    feed = CommitFeed(partial(connect, parse(url)), lambda: None, notifies=False)
    feed.on_announcement(pytest.fail, pytest.fail)
    await feed.announce(["x"])

    assert None is feed._task
    await feed.close()


async def test_a_store_in_a_file_has_no_announcements(tmp_path: Path) -> None:
    """A safe in SQLite has one server, whose processes share memory."""
    store = open_store(tmp_path / "safe" / "store.db")
    assert not isinstance(store, Announcements)
    await store.close()
