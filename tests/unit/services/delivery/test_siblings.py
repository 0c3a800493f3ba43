"""Several API processes of one server: what each learns about delivery, all of them know."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.engines.tools.changes import ACCOUNT, REF
from tests.stores import open_store
from tests.unit.api.tools.driver import sealing_safe
from tests.unit.services.delivery.test_change_feed import LONG, ME, Clock, settle, touching
from tests.unit.services.delivery.test_code_checks import SOURCE, VERSION

from nightsafe.bundle.processes import HeldScript, HeldScriptsReport
from nightsafe.merkle.verifier_key import COSIGNATURE, VerifierKey
from nightsafe.services.audit.transparency_log import TransparencyLog
from nightsafe.services.delivery.bundles import BundleChanges, Bundles, Cursor
from nightsafe.services.delivery.change_feed import ChangeFeed
from nightsafe.services.delivery.code_checks import CodeChecks
from nightsafe.services.delivery.processes import Processes
from nightsafe.services.delivery.sibling_links import SiblingLinks
from nightsafe.services.delivery.siblings import Siblings

LINE = "— witness.example AAAA\n".encode()
WITNESS = VerifierKey("witness.example", COSIGNATURE, bytes(32))
HELD = HeldScript(script="worker", until=2e9, reason="it took a process down")


class Worker:
    """The delivery use cases of one API process, with a store of its own on the shared file."""

    def __init__(self, links: SiblingLinks, path: Path, clock: Clock) -> None:
        self.links = links
        self.clock = clock
        self.store = open_store(path)
        self.siblings = Siblings(links)
        self.change_feed = ChangeFeed(self.store, Bundles(self.store, sealing_safe()), clock, self.siblings)
        self.code_checks = CodeChecks(siblings=self.siblings)
        self.processes = Processes(self.change_feed, siblings=self.siblings)
        self.siblings.listen()

    def ask(self, after: Cursor | None, who: tuple[str, str] = ME) -> "asyncio.Task[BundleChanges]":
        """Start a request for changes."""
        return asyncio.create_task(self.change_feed.follow(ACCOUNT, who, after, LONG))

    def start_write(self) -> "asyncio.Task[None]":
        """Start a write and the wait for delivery that belongs to it."""
        return asyncio.create_task(self._write())

    async def _write(self) -> None:
        """Write and wait for delivery."""
        await self.store.commit(touching(REF))
        await self.change_feed.acted_on(ACCOUNT)

    async def close(self) -> None:
        """End as a process does."""
        self.siblings.close()
        await self.store.close()


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Worker, Worker]]:
    """Yield two API processes on one database with one script."""
    path, clock = tmp_path / "safe" / "store.db", Clock()
    every_link = SiblingLinks.create(2)
    first, second = (Worker(links, path, clock) for links in every_link)
    await first.store.commit(touching(REF))
    yield first, second
    await first.close()
    await second.close()
    for links in every_link:
        links.close()


async def test_each_process_knows_at_once_who_delivers(pair: tuple[Worker, Worker]) -> None:
    """Before the first answer to a delivery process, every other API process knows of it, without any message."""
    first, second = pair
    assert not second.change_feed.is_followed(ACCOUNT)
    await first.change_feed.follow(ACCOUNT, ME, None, 0)

    assert second.change_feed.is_followed(ACCOUNT)
    assert [ME] == [process.process_id for process in second.change_feed.present(ACCOUNT)]


async def test_a_write_waits_for_delivery_at_another_process(pair: tuple[Worker, Worker]) -> None:
    """A write at one API process ends the wait of a delivery process at another, and waits until that has acted."""
    first, second = pair
    waiting = first.ask((await first.ask(None)).cursor)
    await settle()
    write = second.start_write()
    changes = await waiting
    await settle()
    assert not write.done()
    again = first.ask(changes.cursor)
    await write

    assert ("worker",) == changes.scripts
    again.cancel()


async def test_a_delivery_process_may_change_between_api_processes(pair: tuple[Worker, Worker]) -> None:
    """The newest request of a delivery process counts, whichever API process received it."""
    first, second = pair
    cursor = (await first.ask(None)).cursor
    first.clock.now += 1
    waiting = second.ask(cursor)
    await settle()
    first.change_feed.leave(ACCOUNT, ME)  # its earlier connection has ended
    write = first.start_write()
    changes = await waiting
    await settle()
    assert not write.done()
    first.clock.now += 1
    again = first.ask(changes.cursor)
    await write

    again.cancel()


async def test_no_write_waits_for_a_delivery_process_that_has_left(pair: tuple[Worker, Worker]) -> None:
    """When a delivery process hangs up, writes at every API process stop waiting for it."""
    first, second = pair
    await first.ask(None)
    write = second.start_write()
    await settle()
    first.change_feed.leave(ACCOUNT, ME)
    await write

    assert not second.change_feed.is_followed(ACCOUNT)


async def test_no_write_waits_for_a_silent_delivery_process(pair: tuple[Worker, Worker]) -> None:
    """A delivery process that has sent no request for half a minute is forgotten by every API process."""
    first, second = pair
    await first.ask(None)
    assert second.change_feed.is_followed(ACCOUNT)
    first.clock.now += 31
    await second.start_write()

    assert {} == second.change_feed._subscribers


async def test_a_late_delivery_process_is_waited_for_after_its_next_request(pair: tuple[Worker, Worker]) -> None:
    """A write that has waited in vain is the last to wait, until the delivery process sends its next request."""
    first, second = pair
    cursor = (await first.ask(None)).cursor
    await second.start_write()
    assert [] == second.change_feed._active_subscribers(ACCOUNT)
    first.clock.now += 1
    await first.ask(cursor)

    assert [False] == [one.late for one in second.change_feed._active_subscribers(ACCOUNT)]


async def test_a_restarted_process_knows_what_the_one_before_it_knew(pair: tuple[Worker, Worker]) -> None:
    """After a restart, an API process still knows the delivery processes that the one before it had heard of."""
    first, second = pair
    await first.ask(None)
    first.processes.record_report(ACCOUNT, ME, HeldScriptsReport((HELD,)))
    restarted = Worker(first.links, first.store._path, first.clock)

    assert [ME] == [process.process_id for process in restarted.change_feed.present(ACCOUNT)]
    assert HELD == restarted.processes.held_script(ACCOUNT, "worker")
    assert second.change_feed.is_followed(ACCOUNT)
    await restarted.close()


async def test_reports_of_delivery_processes_are_known_everywhere(pair: tuple[Worker, Worker]) -> None:
    """Each API process lists a delivery process with its held scripts and its rights; the newest report counts."""
    first, second = pair
    first.processes.record_request(ACCOUNT, ME, reseals=True)
    await first.ask(None)
    first.processes.record_request(ACCOUNT, ME, reseals=True)
    first.processes.record_report(ACCOUNT, ME, HeldScriptsReport((HELD,)))

    [process] = second.processes.list(ACCOUNT)
    assert (True, (HELD,)) == (process.reseals, process.held)
    assert [True] == ["held apart" in notice.detail for notice in second.processes.notices(REF)]
    second.processes.record_report(ACCOUNT, ME, HeldScriptsReport(()))
    assert () == first.processes.notices(REF)


async def test_code_is_checked_by_a_process_that_asks_elsewhere(pair: tuple[Worker, Worker]) -> None:
    """An upload at one API process is checked by a delivery process that waits at another."""
    first, second = pair
    checker = asyncio.create_task(first.code_checks.next(ACCOUNT, 5))
    await settle()
    upload = asyncio.create_task(second.code_checks.problem_of(ACCOUNT, SOURCE, VERSION))
    check = await checker
    assert check is not None
    assert not upload.done()
    first.code_checks.record_verdict(ACCOUNT, check.id, "it does not compile")

    assert "it does not compile" == await upload


async def test_a_check_waits_for_a_delivery_process_between_its_requests(pair: tuple[Worker, Worker]) -> None:
    """A check that arrived before the delivery process asks is handed over when it asks another API process."""
    first, second = pair
    first.code_checks.record_verdict(ACCOUNT, "none", "")
    upload = asyncio.create_task(second.code_checks.problem_of(ACCOUNT, SOURCE, VERSION))
    await settle()
    check = await first.code_checks.next(ACCOUNT, 5)
    assert check is not None
    second.code_checks.record_verdict(ACCOUNT, check.id, "bad")

    assert "bad" == await upload
    assert "" == await second.code_checks.problem_of("another", SOURCE, VERSION)


async def test_cosignatures_are_known_everywhere(pair: tuple[Worker, Worker]) -> None:
    """What a witness has cosigned for one API process is served by each, and by one that was restarted."""
    first, second = pair
    asking, other = (TransparencyLog(one.store, one.siblings) for one in pair)
    note = await first.store.checkpoint()
    asking.cosignatures.add(note, WITNESS, LINE)
    cosigned = note + LINE
    restarted = Worker(first.links, first.store._path, first.clock)
    third = TransparencyLog(restarted.store, restarted.siblings)

    assert [cosigned] * 3 == [await log.checkpoint() for log in (asking, other, third)]
    assert [cosigned] == [one.note for one in (await other.proof(0)).cosigned]
    await second.store.commit(touching(REF))
    assert cosigned != await other.checkpoint() == await second.store.checkpoint()
    assert [cosigned] == [one.note for one in (await other.proof(0)).cosigned]
    await restarted.close()


def test_links_pass_through_a_command_line() -> None:
    """The argument of a child process names the links that it inherits; an empty argument names none."""
    first, second = SiblingLinks.create(2)
    first.memory.write(b"state")
    inherited = ",".join(map(str, (second.index, *map(os.dup, second.descriptors))))
    again = SiblingLinks.of_argument(inherited)

    assert len(inherited.split(",")) == len(second.as_argument().split(","))
    assert SiblingLinks.of_argument("") is None
    assert again is not None
    assert [(0, b"state")] == list(again.memory.read_changed())
    assert [] == list(again.memory.read_changed())
    assert first.send(1, b"message")
    assert (b"message", None) == again.receive()
    assert again.receive() is None
    for links in (first, second, again):
        links.close()


def test_a_state_that_was_not_finished_does_not_count() -> None:
    """When a process is killed while it writes a state, the others keep reading its last complete one."""
    first, second = SiblingLinks.create(2)
    first.memory.write(b"complete")
    memory = first.memory._map
    at = memory.find(b"complete")
    first.memory.write(b"complete too")
    memory[at : at + 4] = b"torn"

    assert [(0, b"complete too")] == list(second.memory.read_changed())
    assert b"complete too" == first.memory.read_own()
    first.close()
    second.close()


def test_a_full_inbox_refuses_messages() -> None:
    """A message to a process that does not read is refused at some point, and never blocks its sender."""
    first, second = SiblingLinks.create(2)

    assert 1 < sum(first.send(1, b"m" * 100) for _ in range(100_000)) < 100_000
    first.close()
    second.close()


def test_too_large_a_state_is_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the state does not fit, the reports and the oldest processes are left out, and the rest is shared."""
    monkeypatch.setattr("nightsafe.services.delivery.siblings.MOST_BYTES", 2000)
    links = SiblingLinks.create(2)
    feed, other = (ChangeFeed(None, None, Clock(), Siblings(one)) for one in links)  # type: ignore[arg-type]
    for number in range(100):
        feed._clock.now += 0.01  # type: ignore[attr-defined]
        feed._register(ACCOUNT, ("token", str(number)))
    feed._publish()

    known = {process.process_id[1] for process in other.present(ACCOUNT)}
    assert "99" in known
    assert len(known) < 100
    for one in links:
        one.close()


async def test_a_single_process_shares_nothing() -> None:
    """Without other processes, nothing is published or received."""
    siblings = Siblings()
    siblings.listen()
    siblings.publish()
    siblings.claim(ACCOUNT)
    siblings.close()

    assert not siblings.exist
    assert 0 == siblings.refresh()
