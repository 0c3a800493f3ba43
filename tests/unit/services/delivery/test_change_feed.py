"""The change feed: requests for changes, and the waiting of writes for delivery processes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.engines.tools.changes import ACCOUNT, OTHER_ACCOUNT, REF, change, upload
from tests.stores import open_store
from tests.unit.api.tools.driver import sealing_safe

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.audit.archiving import archive_change
from nightsafe.services.delivery.bundles import BundleChanges, Bundles, Cursor
from nightsafe.services.delivery.change_feed import ChangeFeed
from nightsafe.store.changes import ArchivedEntries, Change
from nightsafe.store.scripts import ScriptRef
from nightsafe.store.sqlite import SqliteStore

LONG = 20.0
ME = ("token", "a")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class LoggedScript:
    """A log with one script, and its change feed."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.clock = Clock()
        self.bundles = Bundles(store, sealing_safe())
        self.change_feed = ChangeFeed(store, self.bundles, self.clock)

    async def ask(self, after: Cursor | None, seconds: float = LONG, who: tuple[str, str] = ME) -> BundleChanges:
        """Ask for changes."""
        return await self.change_feed.follow(ACCOUNT, who, after, seconds)

    def start(self, after: Cursor | None, who: tuple[str, str] = ME) -> "asyncio.Task[BundleChanges]":
        """Start a request for changes."""
        return asyncio.create_task(self.ask(after, who=who))

    async def write(self) -> None:
        """Set a secret of the script."""
        await self.store.commit(touching(REF))

    def start_write_wait(self) -> "asyncio.Task[None]":
        """Start the waiting of a write."""
        return asyncio.create_task(self.change_feed.acted_on(ACCOUNT))


def touching(ref: ScriptRef) -> Change:
    """Return a change that makes a version of a script and logs it."""
    made = upload(ref=ref)
    event = AuditEvent(
        at=1,
        action="scripts.upload",
        actor="x",
        actor_kind="token",
        account_id=ref.account_id,
        namespace=ref.namespace,
        script=ref.name,
    )
    return type(made)(at=made.at, audit=entry_for(event), edit=made.edit)


def about_nothing() -> Change:
    """Return a change that concerns no script."""
    return change(audit=entry_for(AuditEvent(at=1, action="x", actor="", actor_kind="", account_id=ACCOUNT)))


@pytest.fixture
async def logged(tmp_path: Path) -> AsyncIterator[LoggedScript]:
    """Yield a store with one script."""
    store = open_store(tmp_path / "safe" / "store.db")
    made = LoggedScript(store)
    await made.write()
    yield made
    await store.close()


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_feed_lists_all_scripts_then_changed_ones(logged: LoggedScript) -> None:
    """The first answer lists every script; each next one, from its cursor, lists every changed script once."""
    first = await logged.ask(None)
    await logged.write()
    await logged.write()
    await logged.store.commit(touching(ScriptRef(ACCOUNT, "other")))
    second = await logged.ask(first.cursor)

    assert (("worker",), True, False) == (first.scripts, first.whole, first.rolled_back)
    assert (("worker", "other"), False, False) == (second.scripts, second.whole, second.rolled_back)
    assert (second.cursor, ()) == ((third := await logged.ask(second.cursor, 0)).cursor, third.scripts)


async def test_a_request_waits_for_a_change(logged: LoggedScript) -> None:
    """A request waits for a change of a script in the account and is answered by it."""
    cursor = (await logged.ask(None)).cursor
    request = logged.start(cursor)
    await settle()
    await logged.store.commit(touching(ScriptRef(OTHER_ACCOUNT, "worker")))
    await logged.store.commit(about_nothing())
    await settle()
    assert not request.done()
    await logged.write()

    assert ("worker",) == (await request).scripts


async def test_a_cursor_of_another_log_is_rolled_back(logged: LoggedScript) -> None:
    """A cursor of another log gets all scripts and `rolled_back`: one past the end, with another hash or account."""
    head = (await logged.ask(None)).cursor
    other = await logged.store.audit_head(OTHER_ACCOUNT)
    for cursor in (
        Cursor(head.number + 1, head.leaf),
        Cursor(head.number, "0" * 16),
        Cursor(0, ""),
        Cursor.of(other.number, other.leaf),
    ):
        changes = await logged.ask(cursor)
        found = (changes.scripts, changes.whole, changes.rolled_back, changes.cursor)
        assert (("worker",), True, True, head) == found


async def test_a_follower_goes_on_after_archived_entries(logged: LoggedScript) -> None:
    """A cursor at an archived entry goes on with the next change; one before archived changes gets all scripts.

    Neither looks like a log that was put back.
    """
    first = (await logged.ask(None)).cursor
    await logged.write()
    second = (await logged.ask(first)).cursor
    await logged.store.commit(archive_change(ArchivedEntries(0, second.number), 0))

    unchanged = await logged.ask(second, 0)
    assert ((), False, False, second) == (
        unchanged.scripts,
        unchanged.whole,
        unchanged.rolled_back,
        unchanged.cursor,
    )
    behind = await logged.ask(first)
    assert (("worker",), True, False, second) == (behind.scripts, behind.whole, behind.rolled_back, behind.cursor)
    await logged.write()
    changed = await logged.ask(second)
    assert (("worker",), False, False) == (changed.scripts, changed.whole, changed.rolled_back)


async def test_a_write_without_followers_does_not_wait(logged: LoggedScript) -> None:
    """Without followers, a write neither waits nor reads the store."""
    await logged.store.close()
    await logged.change_feed.acted_on(ACCOUNT)


async def test_a_write_waits_until_the_follower_asks_again(logged: LoggedScript) -> None:
    """A follower's next request tells that it has acted, and ends the wait."""
    request = logged.start((await logged.ask(None)).cursor)
    await settle()
    await logged.write()
    held = logged.start_write_wait()
    changes = await request
    await settle()
    assert not held.done()
    again = logged.start(changes.cursor)
    await held
    again.cancel()


async def test_a_change_of_no_script_does_not_wait(logged: LoggedScript) -> None:
    """A change that concerns no script does not wait for a follower that is up to date."""
    request = logged.start((await logged.ask(None)).cursor)
    await settle()
    await logged.store.commit(about_nothing())
    await logged.start_write_wait()
    assert not request.done()
    request.cancel()


async def test_a_write_waits_for_each_follower(logged: LoggedScript) -> None:
    """A write waits for each follower, also for two processes with one token."""
    cursor = (await logged.ask(None)).cursor
    await logged.ask(None, who=("token", "b"))
    await logged.write()
    held = logged.start_write_wait()
    first = logged.start((await logged.ask(cursor)).cursor)
    await settle()
    assert not held.done()
    second = logged.start((await logged.ask(cursor, who=("token", "b"))).cursor, who=("token", "b"))
    await held
    for task in (first, second):
        task.cancel()


async def test_a_write_waits_only_once_for_a_late_follower(logged: LoggedScript) -> None:
    """A write waits half a second for a late follower; later writes do not wait until the follower asks again."""
    cursor = (await logged.ask(None)).cursor
    await logged.write()
    await logged.change_feed.acted_on(ACCOUNT)
    after = logged.start_write_wait()
    await settle()
    assert after.done()
    await logged.ask(cursor)
    again = logged.start_write_wait()
    await settle()
    assert not again.done()
    await again


async def test_a_write_does_not_wait_for_a_gone_follower(logged: LoggedScript) -> None:
    """A write does not wait for a follower that hung up or has not asked for half a minute."""
    await logged.ask(None)
    await logged.write()
    held = logged.start_write_wait()
    await settle()
    logged.change_feed.leave(ACCOUNT, ME)
    await held
    await logged.ask(None)
    logged.clock.now += 31
    await logged.change_feed.acted_on(ACCOUNT)

    assert {} == logged.change_feed._subscribers


async def test_the_end_answers_waiting_requests(logged: LoggedScript) -> None:
    """At the end, waiting requests are answered, and later ones do not wait."""
    cursor = (await logged.ask(None)).cursor
    request = logged.start(cursor)
    await settle()
    logged.change_feed.end()

    assert () == (await request).scripts
    assert () == (await logged.ask(cursor)).scripts


async def test_the_number_of_followers_is_limited(logged: LoggedScript) -> None:
    """The number of followers is limited, so that new process names cannot fill the memory."""
    for number in range(150):
        await logged.ask(None, who=("token", str(number)))

    assert 100 == len(logged.change_feed._subscribers[ACCOUNT])


async def test_a_store_failure_ends_the_wait_of_a_write(
    logged: LoggedScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the store fails after a write, the write is answered without waiting, because it is durable."""
    await logged.ask(None)
    await logged.write()

    async def fail(_: str) -> None:
        """Fail as a disk does."""
        raise NightsafeError(Code.STORE)

    monkeypatch.setattr(logged.store, "audit_head", fail)
    held = logged.start_write_wait()
    await settle()

    assert held.done()
    assert None is held.result()
