"""Who follows the log, and what writes wait for."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.engines.tools.changes import ACCOUNT, OTHER_ACCOUNT, REF, change, upload
from tests.unit.api.tools.driver import sealing_safe

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.delivery.bundles import Bundles, Changes, Cursor
from nightsafe.services.delivery.change_feed import ChangeFeed
from nightsafe.store.changes import Change
from nightsafe.store.scripts import ScriptRef
from nightsafe.store.sqlite import SqliteStore

LONG = 20.0
ME = ("token", "a")


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


class Scene:
    """A log with one script in it, and who follows it."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.clock = Clock()
        self.bundles = Bundles(store, sealing_safe())
        self.change_feed = ChangeFeed(store, self.bundles, self.clock)

    async def ask(self, after: Cursor | None, seconds: float = LONG, who: tuple[str, str] = ME) -> Changes:
        """One request for changes."""
        return await self.change_feed.follow(ACCOUNT, who, after, seconds)

    def begin(self, after: Cursor | None, who: tuple[str, str] = ME) -> "asyncio.Task[Changes]":
        """The same, not waited for."""
        return asyncio.create_task(self.ask(after, who=who))

    async def write(self) -> None:
        """Set a secret of the script."""
        await self.store.commit(touching(REF))

    def hold(self) -> "asyncio.Task[None]":
        """A write's wait."""
        return asyncio.create_task(self.change_feed.acted_on(ACCOUNT))


def touching(ref: ScriptRef) -> Change:
    """A change that makes a version of a script and says so in the log."""
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
    """A change that no script is touched by."""
    return change(audit=entry_for(AuditEvent(at=1, action="x", actor="", actor_kind="", account_id=ACCOUNT)))


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """A store with one script."""
    store = SqliteStore.open(tmp_path / "safe" / "store.db", create=True)
    made = Scene(store)
    await made.write()
    yield made
    await store.close()


async def settle() -> None:
    """Let every task come to where it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_everything_at_first_then_only_what_is_new(scene: Scene) -> None:
    """Each answer's cursor leads to the next one; what has changed several times is named once."""
    first = await scene.ask(None)
    await scene.write()
    await scene.write()
    await scene.store.commit(touching(ScriptRef(ACCOUNT, "other")))
    second = await scene.ask(first.cursor)

    assert (("worker",), True, False) == (first.scripts, first.whole, first.rolled_back)
    assert (("worker", "other"), False, False) == (second.scripts, second.whole, second.rolled_back)
    assert (second.cursor, ()) == ((nothing := await scene.ask(second.cursor, 0)).cursor, nothing.scripts)


async def test_a_request_waits_for_news(scene: Scene) -> None:
    """And is answered by the write that brings some; what concerns no script of the account is none."""
    cursor = (await scene.ask(None)).cursor
    asked = scene.begin(cursor)
    await settle()
    await scene.store.commit(touching(ScriptRef(OTHER_ACCOUNT, "worker")))
    await scene.store.commit(about_nothing())
    await settle()
    assert not asked.done()
    await scene.write()

    assert ("worker",) == (await asked).scripts


async def test_what_is_not_of_this_log_is_said_to_be_rolled_back(scene: Scene) -> None:
    """A cursor past its end, one with another hash, and one of another account; a whole answer goes with it."""
    head = (await scene.ask(None)).cursor
    other = await scene.store.audit_head(OTHER_ACCOUNT)
    for cursor in (
        Cursor(head.number + 1, head.leaf),
        Cursor(head.number, "0" * 16),
        Cursor(0, ""),
        Cursor.of(other.number, other.leaf),
    ):
        told = await scene.ask(cursor)
        assert (("worker",), True, True, head) == (told.scripts, told.whole, told.rolled_back, told.cursor)


async def test_a_write_waits_for_nobody_when_nobody_follows(scene: Scene) -> None:
    """Nothing is even read."""
    await scene.store.close()
    await scene.change_feed.acted_on(ACCOUNT)


async def test_a_write_waits_until_the_follower_asks_again(scene: Scene) -> None:
    """Its next request says that it has acted."""
    asked = scene.begin((await scene.ask(None)).cursor)
    await settle()
    await scene.write()
    held = scene.hold()
    changes = await asked
    await settle()
    assert not held.done()
    again = scene.begin(changes.cursor)
    await held
    again.cancel()


async def test_what_concerns_no_script_is_acted_on_by_itself(scene: Scene) -> None:
    """A follower that waits need not be told of it."""
    asked = scene.begin((await scene.ask(None)).cursor)
    await settle()
    await scene.store.commit(about_nothing())
    await scene.hold()
    assert not asked.done()
    asked.cancel()


async def test_each_follower_is_waited_for(scene: Scene) -> None:
    """Two processes with one token are told apart."""
    cursor = (await scene.ask(None)).cursor
    await scene.ask(None, who=("token", "b"))
    await scene.write()
    held = scene.hold()
    one = scene.begin((await scene.ask(cursor)).cursor)
    await settle()
    assert not held.done()
    two = scene.begin((await scene.ask(cursor, who=("token", "b"))).cursor, who=("token", "b"))
    await held
    for task in (one, two):
        task.cancel()


async def test_one_that_is_late_is_waited_for_once(scene: Scene) -> None:
    """Half a second, then the write is answered, and later ones at once until it asks again."""
    cursor = (await scene.ask(None)).cursor
    await scene.write()
    await scene.change_feed.acted_on(ACCOUNT)
    after = scene.hold()
    await settle()
    assert after.done()
    await scene.ask(cursor)
    again = scene.hold()
    await settle()
    assert not again.done()
    await again


async def test_one_that_has_hung_up_is_not_waited_for(scene: Scene) -> None:
    """Nor one that has not asked for half a minute."""
    await scene.ask(None)
    await scene.write()
    held = scene.hold()
    await settle()
    scene.change_feed.leave(ACCOUNT, ME)
    await held
    await scene.ask(None)
    scene.clock.now += 31
    await scene.change_feed.acted_on(ACCOUNT)

    assert {} == scene.change_feed._subscribers


async def test_the_end_answers_all_who_wait(scene: Scene) -> None:
    """With what there is, and nobody waits from then on."""
    cursor = (await scene.ask(None)).cursor
    asked = scene.begin(cursor)
    await settle()
    scene.change_feed.end()

    assert () == (await asked).scripts
    assert () == (await scene.ask(cursor)).scripts


async def test_followers_are_bounded(scene: Scene) -> None:
    """Whoever may follow cannot fill the memory by calling itself ever new names."""
    for number in range(150):
        await scene.ask(None, who=("token", str(number)))

    assert 100 == len(scene.change_feed._subscribers[ACCOUNT])


async def test_a_store_that_fails_after_the_write(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs the wait, and not the answer: the write is durable."""
    await scene.ask(None)
    await scene.write()

    async def fail(_: str) -> None:
        """As a disk does."""
        raise NightsafeError(Code.STORE)

    monkeypatch.setattr(scene.store, "audit_head", fail)
    held = scene.hold()
    await settle()

    assert held.done()
    assert None is held.result()
