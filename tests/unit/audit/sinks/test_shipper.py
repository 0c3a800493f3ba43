"""The shipper: every entry at least once and in order, whatever fails, and no write waits for it."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.delivery.waiting import until
from tests.stores import open_store

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.audit.sinks.position import Mark, Position
from nightsafe.audit.sinks.sender import NotAcceptedError
from nightsafe.audit.sinks.shipment import Shipped, shipped
from nightsafe.audit.sinks.shipper import Lag, Pace, Shipper
from nightsafe.merkle.tree import leaf_hash
from nightsafe.services.audit.archiving import archive_change
from nightsafe.store.changes import ArchivedEntries, AuditEntry, Change
from nightsafe.store.interface import Store

_SECONDS = 60.0
_FAST = Pace(gather_seconds=0, first_pause=0.001, longest_pause=0.002, lock_seconds=0.001)
_NOW = 1_800_000_000


class FakeSink:
    """A sender that records what it accepts, and can refuse or hang.

    Attributes:
        accepted: the accepted numbers, batch by batch.
        attempts: the sizes of all batches.
        problem: the error to raise, or None.
        may_go_on: `send` waits for it.
    """

    def __init__(self) -> None:
        self.accepted: list[list[int]] = []
        self.attempts: list[int] = []
        self.problem: OSError | None = None
        self.most = 10_000
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()

    def send(self, entries: Sequence[Shipped]) -> None:
        """See `Sender.send`."""
        self.attempts.append(len(entries))
        self._loop.call_soon_threadsafe(self._changed.set)
        assert self.may_go_on.wait(_SECONDS)
        if self.problem or len(entries) > self.most:
            raise self.problem or NotAcceptedError("the batch is too large")
        self.accepted.append([entry.number for entry in entries])
        self._loop.call_soon_threadsafe(self._changed.set)

    def reopen(self) -> None:
        """See `Sender.reopen`."""

    @property
    def numbers(self) -> list[int]:
        """Return all accepted numbers in order."""
        return [number for batch in self.accepted for number in batch]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until a condition holds; it is checked after each call."""
        async with asyncio.timeout(_SECONDS):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Yield a store with an empty log."""
    store = open_store(tmp_path / "store" / "nightsafe.db")
    yield store
    await store.close()


@pytest.fixture
def position(tmp_path: Path) -> Position:
    """Return a new position."""
    return Position(tmp_path, "ab" * 32)


async def write(store: Store, count: int, account: str = "a") -> None:
    """Write entries of an account, all at a time of 2027."""
    event = AuditEvent(at=_NOW * 1_000_000, action="x", actor="y", actor_kind="token", account_id=account * 32)
    await asyncio.gather(*(store.commit(Change(at=1, audit=entry_for(event))) for _ in range(count)))


@asynccontextmanager
async def shipping(shipper: Shipper) -> AsyncIterator[None]:
    """Run a shipper for the length of this block, then stop it in order."""
    task = asyncio.ensure_future(shipper.run())
    try:
        yield
    finally:
        shipper.stop()
        async with asyncio.timeout(_SECONDS):
            await task


async def test_entries_of_all_accounts_are_shipped_in_order(store: Store, position: Position) -> None:
    """The sink gets what the log has and what is committed later, in order, once, and then the position is stored."""
    sink = FakeSink()
    await write(store, 3)
    async with shipping(Shipper("x", sink, position, store, _FAST)):
        await sink.until(lambda: sink.numbers == [1, 2, 3])
        await write(store, 2, "b")
        await sink.until(lambda: sink.numbers == [1, 2, 3, 4, 5])
    _, last = (await store.audit_entries_of_all_accounts(4))[0]
    assert Mark(5, last.leaf.hex()) == position.read()


async def test_a_restart_continues(store: Store, position: Position) -> None:
    """After a restart the shipper sends only what was not accepted before."""
    sink = FakeSink()
    await write(store, 2)
    async with shipping(Shipper("x", sink, position, store, _FAST)):
        pass
    await write(store, 2)
    async with shipping(Shipper("x", sink, position, store, _FAST)):
        pass

    assert [[1, 2], [3, 4]] == sink.accepted


async def test_a_batch_without_a_stored_position_is_sent_again(
    store: Store, position: Position, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the process ends between a batch and its position, the next process repeats the batch and skips nothing."""
    sink = FakeSink()
    await write(store, 2)

    def lost(_: Mark) -> None:
        """Store no position, as if the process ended before."""
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(position, "write", lost)
        async with shipping(Shipper("x", sink, position, store, _FAST)):
            await sink.until(lambda: bool(sink.accepted))
    assert Mark() == position.read()
    async with shipping(Shipper("x", sink, position, store, _FAST)):
        pass

    assert [1, 2] == sink.accepted[-1]
    assert 2 == position.read().seq


async def test_a_hanging_sink_holds_no_write_up(store: Store, position: Position) -> None:
    """While the sink hangs, a hundred writes succeed and no further call begins; then the sink gets everything."""
    sink = FakeSink()
    sink.may_go_on.clear()
    await write(store, 1)
    shipper = Shipper("x", sink, position, store, _FAST)
    async with shipping(shipper):
        await sink.until(lambda: sink.attempts == [1])
        for _ in range(100):
            await write(store, 1)
        assert [1] == sink.attempts
        assert 101 == (await shipper.lag()).unsent
        sink.may_go_on.set()
        await sink.until(lambda: sink.numbers == list(range(1, 102)))
    assert 0 == (await shipper.lag()).unsent


async def test_a_refusing_sink_gets_everything_later(store: Store, position: Position) -> None:
    """Entries that were refused are sent again until they are accepted, and the log says each reason once."""
    sink = FakeSink()
    sink.problem = ConnectionRefusedError(111, "Connection refused")
    await write(store, 8)
    with capture_logs() as logs:
        async with shipping(Shipper("x", sink, position, store, _FAST)):
            await sink.until(lambda: len(sink.attempts) > 6)
            sink.problem = None
            await sink.until(lambda: sink.numbers == list(range(1, 9)))

    events = [event for event in logs if event["event"] in {"audit_sink.failed", "audit_sink.accepts"}]
    assert ["audit_sink.failed", "audit_sink.accepts"] == [event["event"] for event in events]
    assert "Connection refused" == events[0]["reason"]
    assert "x" == events[0]["sink"]


async def test_batches_shrink_until_the_sink_accepts_them(store: Store, position: Position) -> None:
    """A sink that refuses large batches gets smaller ones, down to one entry, and larger ones afterwards."""
    sink = FakeSink()
    sink.most = 1
    await write(store, 20)
    async with shipping(Shipper("x", sink, position, store, _FAST)):
        await sink.until(lambda: len(sink.numbers) == 5)
        sink.most = 100
        await sink.until(lambda: len(sink.numbers) == 20)

    assert [20, 10, 5, 2, 1] == sink.attempts[:5]
    assert list(range(1, 21)) == sink.numbers
    assert max(map(len, sink.accepted)) > 1


async def test_batches_are_bounded(store: Store, position: Position) -> None:
    """A long log is sent in batches of at most the given number of entries and bytes."""
    sink = FakeSink()
    await write(store, 130)
    size = len((await store.audit_entries_of_all_accounts(0, 1))[0][1].entry)
    pace = Pace(max_entries=60, gather_seconds=0)
    async with shipping(Shipper("x", sink, position, store, pace)):
        pass
    assert [60, 60, 10] == [len(batch) for batch in sink.accepted]
    await write(store, 9)
    async with shipping(Shipper("x", sink, position, store, Pace(max_bytes=4 * size, gather_seconds=0))):
        pass
    assert [4, 4, 1] == [len(batch) for batch in sink.accepted[3:]]


async def test_pauses_grow_and_begin_again(store: Store, position: Position, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses after failures double from 0.1 s to at most 30 s, and begin again at 0.1 s after a success."""
    sink, pauses = FakeSink(), list[float]()
    shipper = Shipper("x", sink, position, store)

    async def note(seconds: float) -> None:
        """Note a pause instead of waiting. After some failures let the sink accept, later refuse again."""
        pauses.append(seconds)
        sink.problem = None if len(pauses) == 11 else OSError(5, "Input/output error")
        if len(pauses) == 12:
            await write(store, 1)
        if len(pauses) == 13:
            shipper.stop()

    monkeypatch.setattr(shipper, "_pause", note)
    sink.problem = OSError(5, "Input/output error")
    await write(store, 1)
    async with asyncio.timeout(_SECONDS):
        await shipper.run()

    assert [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0] == [round(pause, 3) for pause in pauses[:11]]
    assert [0.2, 0.1] == pauses[11:13]


async def test_the_log_says_once_that_a_sink_is_late_and_once_that_it_is_well(
    store: Store, position: Position
) -> None:
    """When the oldest unsent entry is over a minute old, one warning says so; one line follows when all is sent."""
    sink = FakeSink()
    sink.problem = ConnectionRefusedError(111, "Connection refused")
    now = float(_NOW)
    shipper = Shipper("x", sink, position, store, _FAST, lambda: now)
    await write(store, 1)
    with capture_logs() as logs:
        async with shipping(shipper):
            now = _NOW + 60.0
            await sink.until(lambda: len(sink.attempts) > 3)
            assert [] == about_lateness(logs)
            now = _NOW + 61.5
            assert Lag("x", 1, 61.5) == await shipper.lag()
            seen = len(sink.attempts)
            await sink.until(lambda: len(sink.attempts) > seen + 5)
            assert ["audit_sink.late"] == about_lateness(logs)
            sink.problem = None
            await sink.until(lambda: sink.numbers == [1])
    assert ["audit_sink.late", "audit_sink.well"] == about_lateness(logs)
    assert Lag("x", 0, 0.0) == await shipper.lag()


def about_lateness(logs: Sequence[object]) -> list[str]:
    """Return the events that say whether a sink is late."""
    events = [dict(event)["event"] for event in logs]  # type: ignore[call-overload] # a log entry is a dictionary
    return [event for event in events if event in {"audit_sink.late", "audit_sink.well"}]


async def test_another_log_is_shipped_from_its_beginning(store: Store, position: Position) -> None:
    """A position of another log, or past the end of this one, counts as the beginning; the log says so."""
    sink = FakeSink()
    await write(store, 3)
    for mark in (Mark(2, "0" * 64), Mark(9, "0" * 64)):
        position.write(mark)
        with capture_logs() as logs:
            async with shipping(Shipper("x", sink, position, store, _FAST)):
                pass
        assert "audit_sink.started_over" in [event["event"] for event in logs]

    assert [[1, 2, 3], [1, 2, 3]] == sink.accepted


async def test_two_servers_of_a_safe_do_not_ship_twice(store: Store, position: Position, tmp_path: Path) -> None:
    """While another server ships to the sink, this one does not; when that server ends, this one continues."""
    sink, other = FakeSink(), FakeSink()
    theirs = Position(tmp_path, "ab" * 32)
    first = asyncio.ensure_future(Shipper("x", other, theirs, store, _FAST).run())
    await write(store, 1)
    await other.until(lambda: other.numbers == [1])
    async with shipping(waiting := Shipper("x", sink, position, store, _FAST)):
        await write(store, 1)
        await other.until(lambda: other.numbers == [1, 2])
        await until(lambda: 2 == position.read().seq)
        assert ([], 0) == (sink.attempts, (await waiting.lag()).unsent)
        first.cancel()
        await asyncio.wait({first})
        theirs.close()
        await write(store, 1)
        await sink.until(lambda: 3 in sink.numbers)
    assert {3} <= set(sink.numbers) <= {2, 3}


async def test_stopping_ends_a_pause(store: Store, position: Position, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shipper that waits to try again tries once more when it is stopped, and ends even if that fails."""
    sink = FakeSink()
    sink.problem = OSError(5, "Input/output error")
    await write(store, 1)
    shipper = Shipper("x", sink, position, store, Pace(first_pause=_SECONDS * 10))
    pause, pausing = shipper._pause, asyncio.Event()

    async def begin(seconds: float) -> None:
        """Note that a pause begins."""
        pausing.set()
        await pause(seconds)

    monkeypatch.setattr(shipper, "_pause", begin)
    async with shipping(shipper):
        await pausing.wait()
    assert [1, 1] == sink.attempts


async def test_a_system_without_threads_only_delays(
    store: Store, position: Position, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the system allows no further thread, nothing is sent and the log says why; later everything is sent."""
    sink, begin, refusals = FakeSink(), threading.Thread.start, [1, 2]

    def start(thread: threading.Thread) -> None:
        """Refuse the first threads of the shipper."""
        if thread.name == "nightsafe-audit-sink" and refusals:
            refusals.pop()
            raise RuntimeError("can't start new thread")
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    await write(store, 1)
    with capture_logs() as logs:
        async with shipping(Shipper("x", sink, position, store, _FAST)):
            await sink.until(lambda: sink.numbers == [1])
    assert "Resource temporarily unavailable" in [event.get("reason") for event in logs]


async def test_an_unforeseen_error_keeps_the_position(store: Store, position: Position) -> None:
    """After an error that is not the sink's, a restarted `run` continues where it was."""
    sink = FakeSink()
    await write(store, 1)
    shipper = Shipper("x", sink, position, store, _FAST)
    sink.problem = ZeroDivisionError()  # type: ignore[assignment] # a mistake in a sender
    with pytest.raises(ZeroDivisionError):
        await shipper.run()
    sink.problem = None
    async with shipping(shipper):
        await sink.until(lambda: sink.numbers == [1])


async def test_a_line_has_the_number_the_leaf_and_the_entry(store: Store) -> None:
    """The line of an entry is JSON with its number, its leaf hash in hex and the entry, byte for byte."""
    await write(store, 1)
    [(number, entry)] = await store.audit_entries_of_all_accounts()
    line = shipped(number, entry).line

    assert {"seq": 1, "leaf": entry.leaf.hex(), "entry": json.loads(entry.entry)} == json.loads(line)
    assert line.endswith(b'"entry":' + entry.entry + b"}")


async def archive(store: Store, end: int) -> None:
    """Archive the first entries of the log."""
    await store.commit(archive_change(ArchivedEntries(0, end), _NOW * 1_000_000))


async def test_a_restart_continues_after_archived_entries(store: Store, position: Position) -> None:
    """A sink whose last entry is archived since gets the next ones only, because the entry's hash is still there."""
    sink = FakeSink()
    await write(store, 3)
    async with shipping(Shipper("x", sink, position, store, _FAST)):
        pass
    await archive(store, 3)
    shipper = Shipper("x", sink, position, store, _FAST)
    assert 1 == (await shipper.lag()).unsent
    async with shipping(shipper):
        pass

    assert [[1, 2, 3], [4]] == sink.accepted


async def test_a_new_sink_gets_the_entries_that_are_not_archived(store: Store, position: Position) -> None:
    """A sink that is added later gets the log from its first entry on that is not archived."""
    sink = FakeSink()
    await write(store, 3)
    await archive(store, 2)
    shipper = Shipper("x", sink, position, store, _FAST)
    assert 2 == (await shipper.lag()).unsent
    async with shipping(shipper):
        pass

    assert [3, 4] == sink.numbers


@pytest.mark.parametrize("text", [b'{"at":1,"action":"forged"}', b'x}\n{"seq":8}'])
def test_a_changed_entry_is_not_sent(text: bytes) -> None:
    """An entry that is not what its leaf hash says is sent as `null`, and the log names it."""
    with capture_logs() as logs:
        line = shipped(7, AuditEntry("a", text, leaf_hash(b"another text"))).line

    assert {"seq": 7, "leaf": leaf_hash(b"another text").hex(), "entry": None} == json.loads(line)
    assert [("audit_sink.entry_changed", 6)] == [(entry["event"], entry["entry"]) for entry in logs]
