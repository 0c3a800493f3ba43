"""Several API nodes on one database: each knows the delivery processes that follow the others."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.engines.tools.changes import ACCOUNT, REF
from tests.stores import open_store
from tests.unit.api.tools.driver import sealing_safe
from tests.unit.services.delivery.test_change_feed import LONG, ME, Clock, settle, touching

from nightsafe.bundle.processes import HeldScript, HeldScriptsReport
from nightsafe.services.delivery.bundles import BundleChanges, Bundles, Cursor
from nightsafe.services.delivery.change_feed import ChangeFeed
from nightsafe.services.delivery.other_nodes import Announcement, OtherNodes
from nightsafe.services.delivery.processes import Processes
from nightsafe.services.delivery.sibling_links import SiblingLinks
from nightsafe.services.delivery.siblings import Follower, Siblings
from nightsafe.store.announcements import LONGEST_ANNOUNCEMENT

HELD = HeldScript(script="worker", until=2e9, reason="it took a process down")


class Channel:
    """Carries announcements between nodes, and loses those of a node that is cut off."""

    def __init__(self) -> None:
        self.ends: list[End] = []
        self.carried: list[str] = []

    def end(self) -> "End":
        """Return the end of another node."""
        self.ends.append(End(self))
        return self.ends[-1]


class End:
    """One node's end of a channel."""

    def __init__(self, channel: Channel) -> None:
        self.is_cut = False
        self._channel = channel
        self.take: Callable[[str], None] = lambda _: None
        self.resumed: Callable[[], None] = lambda: None

    async def announce(self, texts: Sequence[str]) -> None:
        """See `Announcements.announce`."""
        if not self.is_cut:
            self._channel.carried += texts
            for end in self._channel.ends:
                for text in texts:
                    end.hear(text)

    def on_announcement(self, take: Callable[[str], None], resumed: Callable[[], None]) -> None:
        """See `Announcements.on_announcement`."""
        self.take, self.resumed = take, resumed
        resumed()

    def hear(self, text: str) -> None:
        """Take a text that has arrived, unless this end is cut off."""
        if not self.is_cut:
            asyncio.get_running_loop().call_soon(self.take, text)

    def resume(self) -> None:
        """End the interruption."""
        self.is_cut = False
        self.resumed()


class Node:
    """The delivery use cases of one node, with a clock that another machine's clock has nothing to do with."""

    def __init__(self, channel: Channel, path: Path, now: float, links: SiblingLinks | None = None) -> None:
        self.clock = Clock()
        self.clock.now = now
        self.store = open_store(path)
        self.end = channel.end()
        self.nodes = OtherNodes(self.end, self.clock)
        self.siblings = Siblings(links, self.nodes)
        self.change_feed = ChangeFeed(self.store, Bundles(self.store, sealing_safe()), self.clock, self.siblings)
        self.processes = Processes(self.change_feed, siblings=self.siblings)

    def ask(self, after: Cursor | None, who: tuple[str, str] = ME) -> "asyncio.Task[BundleChanges]":
        """Start a request for changes."""
        return asyncio.create_task(self.change_feed.follow(ACCOUNT, who, after, LONG))

    async def write(self) -> None:
        """Set a secret of the script."""
        await self.store.commit(touching(REF))

    def start_write_wait(self) -> "asyncio.Task[None]":
        """Start the waiting of a write."""
        return asyncio.create_task(self.change_feed.acted_on(ACCOUNT))

    def followers(self) -> list[tuple[str, str]]:
        """Return the delivery processes of all nodes, as this one knows them."""
        return [process.process_id for process in self.change_feed.present(ACCOUNT)]


@pytest.fixture
async def channel() -> Channel:
    """Return a channel without nodes."""
    return Channel()


@pytest.fixture
async def pair(channel: Channel, tmp_path: Path) -> AsyncIterator[tuple[Node, Node]]:
    """Yield two nodes on one database with one script."""
    path = tmp_path / "safe" / "store.db"
    first, second = Node(channel, path, 1000.0), Node(channel, path, 77.0)
    await first.store.commit(touching(REF))
    yield first, second
    await first.store.close()
    await second.store.close()


async def test_a_node_knows_who_follows_another(pair: tuple[Node, Node]) -> None:
    """A node lists the delivery processes of another until they leave or have not asked for 30 seconds."""
    first, second = pair
    await first.ask(None)
    await settle()
    assert [ME] == second.followers()
    second.clock.now += 29
    assert [ME] == second.followers()
    second.clock.now += 2
    assert [] == second.followers()

    first.clock.now += 31
    await first.ask(None)
    await settle()
    assert [ME] == second.followers()
    first.change_feed.leave(ACCOUNT, ME)
    await settle()
    assert [] == second.followers()


async def test_a_write_waits_for_delivery_that_follows_another_node(pair: tuple[Node, Node]) -> None:
    """A write at one node waits until a delivery process that follows another node has acted on it."""
    first, second = pair
    cursor = (await first.ask(None)).cursor
    await second.write()
    held = second.start_write_wait()
    changes = await first.ask(cursor)
    await settle()
    assert not held.done()
    again = first.ask(changes.cursor)
    await settle()

    assert held.done()
    again.cancel()


async def test_a_write_does_not_wait_for_a_process_that_has_left_another_node(pair: tuple[Node, Node]) -> None:
    """The end of a delivery process at another node ends the wait for it."""
    first, second = pair
    await first.ask(None)
    await second.write()
    held = second.start_write_wait()
    await settle()
    assert not held.done()
    first.change_feed.leave(ACCOUNT, ME)
    await settle()

    assert held.done()


async def test_a_write_waits_only_once_for_a_node_that_is_gone(pair: tuple[Node, Node]) -> None:
    """A write waits half a second for a delivery process whose node tells nothing; later ones do not wait for it."""
    first, second = pair
    await first.ask(None)
    await second.write()
    first.end.is_cut = True
    await second.start_write_wait()
    after = second.start_write_wait()
    await settle()

    assert after.done()


async def test_a_request_that_is_told_again_is_no_new_one(pair: tuple[Node, Node]) -> None:
    """A late delivery process of another node stays late until its next request, whatever its node tells."""
    first, second = pair
    cursor = (await first.ask(None)).cursor
    await second.write()
    await second.start_write_wait()
    first.clock.now, second.clock.now = first.clock.now + 3.0, second.clock.now + 3.1
    second.end.resumed()
    await settle()
    late = second.start_write_wait()
    await settle()
    assert late.done()
    await first.ask(cursor)
    await settle()
    held = second.start_write_wait()
    await settle()

    assert not held.done()
    await held


async def test_what_was_lost_in_an_interruption_is_told_after_it(pair: tuple[Node, Node]) -> None:
    """A node learns after an interruption who follows the others, and how far each has acted, and tells its own."""
    first, second = pair
    cursor = (await first.ask(None)).cursor
    await settle()
    await first.write()
    second.end.is_cut = True
    waiting = first.ask((await first.ask(cursor)).cursor)
    await second.ask(None, ("token", "b"))
    await settle()
    assert [ME] == first.followers()
    held = second.start_write_wait()
    await settle()
    assert not held.done()
    second.change_feed.leave(ACCOUNT, ("token", "b"))
    await second.ask(None, ("token", "c"))
    second.end.resume()
    await settle()

    assert held.done()
    assert [ME, ("token", "c")] == first.followers() == second.followers()
    waiting.cancel()


async def test_a_node_that_starts_learns_who_follows_the_others(
    channel: Channel, pair: tuple[Node, Node], tmp_path: Path
) -> None:
    """A new node asks the others, and then knows their delivery processes, also more than fit in an announcement."""
    names = [("token" * 6, f"{number:064}") for number in range(40)]
    for name in names:
        await pair[0].ask(None, name)
    channel.carried.clear()
    third = Node(channel, tmp_path / "safe" / "store.db", 5.0)
    await settle()
    await third.store.close()

    assert names == third.followers()
    assert len(channel.carried) > 2
    assert max(map(len, channel.carried)) <= LONGEST_ANNOUNCEMENT


async def test_the_newest_request_counts_whichever_node_received_it(pair: tuple[Node, Node]) -> None:
    """A delivery process that goes over to another node is known by its newest request, although clocks differ."""
    first, second = pair
    cursor = (await first.ask(None)).cursor
    first.clock.now, second.clock.now = first.clock.now + 1, second.clock.now + 1
    waiting = second.ask(cursor)
    await settle()
    first.change_feed.leave(ACCOUNT, ME)  # its earlier connection has ended
    await settle()
    assert [ME] == first.followers() == second.followers()
    await first.write()
    held = first.start_write_wait()
    changes = await waiting
    await settle()
    assert not held.done()
    again = second.ask(changes.cursor)
    await settle()

    assert held.done()
    again.cancel()


async def test_only_credentials_are_told_beside_how_far_a_process_has_acted(
    channel: Channel, pair: tuple[Node, Node]
) -> None:
    """Every node knows whether a delivery process may reseal values; reports with scripts stay at the node."""
    first, second = pair
    first.processes.record_request(ACCOUNT, ME, reseals=True)
    await first.ask(None)
    first.processes.record_report(ACCOUNT, ME, HeldScriptsReport(held=(HELD,)))
    await first.ask(None)
    await settle()
    (process,) = second.processes.list(ACCOUNT)

    assert (True, ()) == (process.reseals, process.held)
    assert not [text for text in channel.carried if HELD.reason in text or HELD.script in text]


async def test_processes_of_one_server_hear_of_each_other_only_by_their_memory(
    channel: Channel, tmp_path: Path
) -> None:
    """An announcement of an API process of the same server, whose shared memory tells more, counts for nothing.

    The successor of a process goes on under the same id, so the other nodes do not take it for a further node.
    """
    every_link = SiblingLinks.create(2)
    path = tmp_path / "safe" / "store.db"
    first, second = (Node(channel, path, 10.0, links) for links in every_link)
    await first.write()
    await first.ask(None)
    await settle()

    assert [ME] == second.followers()
    assert [first.siblings.own.followers] == [state.followers for state in second.siblings.states]
    assert first.siblings.own.node == Siblings(every_link[0]).own.node
    for node in (first, second):
        await node.store.close()
    for links in every_link:
        links.close()


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", "\0", '{"node": 1, "at": 2.0}', '{"node": "a", "at": "b"}', "é" * 99]
)
async def test_a_text_of_another_form_is_ignored(pair: tuple[Node, Node], text: str) -> None:
    """Whatever another program sends on the channel is ignored."""
    pair[0].end.take(text)

    assert [] == pair[0].followers()


async def test_the_memory_of_other_nodes_is_limited(pair: tuple[Node, Node]) -> None:
    """A node remembers a limited number of delivery processes of others, and forgets the ones not told again."""
    node = pair[0]
    follower = Follower(account_id=ACCOUNT, process_id=ME, asked_at=5.0, last_request_at=9e99, acted_on=1)
    for number in range(220):
        followers = tuple(replace(follower, process_id=(str(number), str(part))) for part in range(10))
        announcement = Announcement(node=str(number), at=-7.0, followers=followers)
        node.end.hear(msgspec.json.encode(announcement).decode())
    await settle()
    assert 2000 == sum(len(state.followers) for state in node.siblings.states)
    node.clock.now += 61
    node.end.hear(msgspec.json.encode(Announcement(node="last", at=1.0, followers=(follower,))).decode())
    await settle()

    assert [(follower.process_id,)] == [
        tuple(told.process_id for told in state.followers) for state in node.siblings.states
    ]
