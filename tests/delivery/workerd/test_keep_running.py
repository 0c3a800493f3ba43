"""The long-lived tasks of the delivery process: after an error at any await they start again and do their work."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from tests.delivery import waiting
from tests.delivery.runtime import ACCOUNT, Runtime
from tests.failing_awaits import Boom, Thrower, awaits_of, thrown
from tests.unit.delivery.key_rotation.test_resealing import RING, SIGNING_KEY, Source, value

from nightsafe.bundle.approvals.approval import ApprovedBy
from nightsafe.bundle.code_checks import CodeCheck, Verdict
from nightsafe.bundle.processes import HeldScriptsReport
from nightsafe.delivery import keep_running as keep_running_module
from nightsafe.delivery.cache.bundle_cache import BundleCache, ServedScript
from nightsafe.delivery.cache.module_cache import ModuleCache
from nightsafe.delivery.cache.serials import Serials
from nightsafe.delivery.keep_running import keep_running
from nightsafe.delivery.source.log_check import LogCheck
from nightsafe.delivery.workerd.holds import Hold
from nightsafe.delivery.workerd.limits import Limits
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.reloading.key_file import ReloadedFile
from nightsafe.sealing.reloading.opener import ReloadingOpener
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.verify_keys import VerifyKeys

SECONDS = 20.0
AWAY = NightsafeError(Code.UNAVAILABLE, "it is away")
HELLO = "export default { fetch() { return new Response(); } };"

TASKS: dict[str, tuple[str, ...]] = {
    "source.follower": ("_follow", "_fetch_all", "_try_fetch", "_retry", "fetch"),
    "reports.processes": ("_run",),
    "key_rotation.resealing": ("run", "_idle", "run_once", "_reseal_batch"),
    "load.code_checks": ("run", "_find_problem"),
    "egress.egress": ("_follow",),
    "workerd.process_keeper": (
        "_keep_current",
        "_handle_end",
        "_relaunch",
        "_launch",
        "_wait_for_replacement",
        "_is_busy",
        "_is_too_large",
    ),
    "workerd.supervisor": ("watch",),
    "delivery": ("watch",),
}
"""The functions that run in a long-lived task, by module."""

AWAITS = [
    pytest.param(name, number, id=f"{name}:{line}")
    for name, functions in TASKS.items()
    for number, line in enumerate(awaits_of(f"nightsafe.delivery.{name}", only=functions))
]

until = partial(waiting.until, seconds=SECONDS, pause=0.001)


async def follows(module: ModuleType, folder: Path, arm: Callable[[], None]) -> None:
    """Run the feed, with a source that is away at first: two versions are delivered, one after the other."""
    module.__dict__.update(_FIRST_PAUSE=0.001, _LONGEST_PAUSE=0.001, _RETRY_PAUSES=(0.001,))
    own_runtime = Runtime(folder)
    source, bundle, changes = own_runtime.source, own_runtime.source.bundle, own_runtime.source.changes
    trouble = itertools.chain([AWAY] * 4, itertools.repeat(None))
    away = itertools.chain([AWAY], itertools.repeat(None))
    told: list[ServedScript] = []

    async def failing_bundle(script: str, wanted: ApprovedBy | None = None) -> bytes:
        """Fail a few times, then return the bundle."""
        if error := next(trouble):
            raise error
        return await bundle(script, wanted)

    async def failing_changes(after: str, *, wait: bool) -> Any:
        """Fail once, then return the changes."""
        if error := next(away):
            raise error
        return await changes(after, wait=wait)

    async def tell(held: ServedScript) -> None:
        """Record the bundle."""
        told.append(held)

    source.bundle, source.changes = failing_bundle, failing_changes  # type: ignore[method-assign]
    serials, verifier = Serials(folder / "marks.json"), own_runtime.verifier
    bundle_cache = BundleCache(ACCOUNT, verifier, serials)
    log_check = LogCheck(ACCOUNT, source, verifier, serials)
    follower = module.Follower(source, bundle_cache, ModuleCache(source), tell, log_check)
    arm()
    follower.start()
    for number in (1, 2):
        await own_runtime.put("hello", own_runtime.version("hello", f"{HELLO} // {number}"))
        await until(lambda: len(told) >= number)  # noqa: B023 - it ends before the next round
    await follower.stop()
    await serials.flush()


async def reports(module: ModuleType, _: Path, arm: Callable[[], None]) -> None:
    """Run the reporter: scripts that are held apart are reported."""
    told: list[HeldScriptsReport] = []
    supervisor = SimpleNamespace(
        changed=asyncio.Event(), holds=SimpleNamespace(current=lambda: {"x": Hold(1.0, 1.0, "it")})
    )

    async def report(report: HeldScriptsReport) -> None:
        """Record the report."""
        told.append(report)

    module.__dict__["_REPEAT_SECONDS"] = 0.001
    reporter = module.Reporter(SimpleNamespace(report=report), supervisor)
    arm()
    reporter.start()
    supervisor.changed.set()
    await until(lambda: (supervisor.changed.set(), len(told) > 2)[1])
    await reporter.stop()


async def reaches(module: ModuleType, folder: Path, arm: Callable[[], None]) -> None:
    """Run the egress rules: a new address is noticed, and another one after it."""

    async def news() -> AsyncGenerator[None]:
        """Announce changes again and again."""
        while True:
            await asyncio.sleep(0.001)
            yield

    own: set[IPv4Network] = set()
    renewed: list[int] = []
    module.__dict__["address_changes"] = news
    reach = module.Egress(folder / "reach", find_own_networks=lambda: frozenset(own))
    reach.write()
    arm()
    reach.start(lambda: renewed.append(len(own)))
    for number in (1, 2):
        own.add(IPv4Network((11 << 24) + number))
        await until(lambda: number in renewed)  # noqa: B023 - it ends before the next round
    await reach.stop()


async def reseals(module: ModuleType, folder: Path, arm: Callable[[], None]) -> None:
    """Run the resealer: values under an older key are sealed again, also those that come later."""
    RING.save(folder / "ring.json")
    opener = ReloadingOpener(
        VerifyKeys([SIGNING_KEY.verify_key]), ReloadedFile(folder / "ring.json", PrivateRing.load)
    )
    source = Source(value(1), value(2), value(3))
    resealer = module.Resealer(ACCOUNT, source, opener, rest=0, idle_seconds=0.001)
    module.__dict__["reseal_value"] = lambda _account, value, *_: value  # nothing checks the stored value
    arm()
    running = asyncio.create_task(keep_running("reseal", resealer.run))
    await until(lambda: not source.values)
    source.values["a4"] = value(4)
    await until(lambda: not source.values)
    running.cancel()


async def checks(module: ModuleType, _: Path, arm: Callable[[], None]) -> None:
    """Run the checker: uploads are checked, also after the API was away."""
    waiting: Iterator[NightsafeError | CodeCheck] = iter(
        [AWAY, *(CodeCheck(id=str(number), main_module="", modules=(), flags=()) for number in range(50))]
    )
    told: list[str] = []

    class Checks:
        """An API with uploads to check."""

        async def announce(self) -> None:
            """Do nothing."""

        async def next(self) -> CodeCheck | None:
            """Return the next upload."""
            found = next(waiting)
            if isinstance(found, NightsafeError):
                raise found
            await asyncio.sleep(0)
            return found

        async def send_verdict(self, check: CodeCheck, _: Verdict) -> None:
            """Record a verdict."""
            told.append(check.id)

    async def problem_of(_: CodeCheck) -> str:
        """Find no problem."""
        return ""

    checker = module.Checker(Checks(), SimpleNamespace(find_problem=problem_of))
    arm()
    running = asyncio.create_task(keep_running("check", checker.run))
    await until(lambda: len(told) > 3)
    running.cancel()


class FakeChild:
    """A process whose state the test sets."""

    pids = itertools.count(1)
    part = "main"

    def __init__(self, fails: bool) -> None:  # noqa: FBT001 - the only argument
        self.pid = next(self.pids)
        self.size = 0
        self.pushed: list[str] = []
        self._fails = fails
        self._ended = asyncio.Event()

    @property
    def alive(self) -> bool:
        """Return whether it runs."""
        return not self._ended.is_set()

    async def start(self) -> None:
        """Start, or fail to."""
        if self._fails:
            raise AWAY

    async def wait(self) -> int:
        """Wait for the end."""
        await self._ended.wait()
        return 1

    async def kill(self) -> None:
        """End, and clear what was wrong."""
        FakeProbe.wrong.clear()
        self._ended.set()

    async def push(self, path: str, _: bytes) -> None:
        """Record the push."""
        self.pushed.append(path)

    def resident_bytes(self) -> int:
        """Return the size that the test has set."""
        return self.size


class FakeProbe:
    """A probe that is answered unless the test puts into `wrong` the CPU time that was used without an answer."""

    wrong: ClassVar[list[float]] = []

    def __init__(self, _: FakeChild) -> None:
        self.cpu_used = 0.0

    async def wait_for_answer(self, **_: float) -> bool:
        """Return whether there is an answer."""
        self.cpu_used = self.wrong[0] if self.wrong else 0.0
        return not self.wrong

    async def end(self) -> None:
        """Do nothing."""


async def keeps(module: ModuleType, _: Path, arm: Callable[[], None]) -> None:
    """Run the keeper: there is a process again after one has ended, hung, been busy or grown too large."""
    no_time = SimpleNamespace(monotonic=lambda: 0.0)  # a busy machine must make no difference
    module.__dict__.update(Probe=FakeProbe, _FREED_SECONDS=-1.0, time=no_time)
    FakeProbe.wrong.clear()
    fails = itertools.chain([False, True], itertools.repeat(False))
    limits = Limits(
        probe_seconds=0.001, pause_seconds=0.001, drain_seconds=0.001, shed_seconds=0.0, resident_bytes=10
    )
    seen: list[int] = []

    async def noted(child: FakeChild, *_: object) -> bool:
        """Record a process, and clear what was wrong."""
        FakeProbe.wrong.clear()
        seen.append(child.pid)
        return False

    async def told() -> None:
        """Do nothing."""

    async def retired(child: FakeChild) -> None:
        """Remove a process that was replaced."""
        keeper.children.remove(child)

    keeper: Any = module.Keeper(lambda: FakeChild(next(fails)), limits, noted, noted, told, retired, noted, told)
    await keeper.start()
    arm()
    for trouble in ("end", "stuck", "busy", "large", "overgrown", "end"):
        child: FakeChild = keeper.current
        if trouble == "end":
            await child.kill()
        elif trouble in {"stuck", "busy"}:
            FakeProbe.wrong.append(0.0 if trouble == "stuck" else 9.0)
        else:
            child.size = 12 if trouble == "large" else 20
        if trouble == "busy":
            await until(lambda: not FakeProbe.wrong)
        elif trouble == "overgrown":
            await until(lambda: child.pid in seen)  # noqa: B023 - it ends before the next round
        else:
            await until(lambda: keeper.current is not child and keeper.up)  # noqa: B023 - the same
    assert [keeper.current] == keeper.children
    keeper._keep_task.cancel()


async def watches(module: ModuleType, _: Path, arm: Callable[[], None]) -> None:
    """Run a watcher: it goes on watching, and notices the end of a part."""
    ended = asyncio.Event()
    watched = SimpleNamespace(watch=ended.wait)
    if module.__name__.endswith("supervisor"):
        watcher = module.Supervisor.__new__(module.Supervisor)
        watcher.__dict__.update(_main=watched, _cells={1: SimpleNamespace(keeper=watched)})
    else:
        watcher = module.Delivery.__new__(module.Delivery)
        watcher.__dict__.update(follower=watched, supervisor=watched, _reporter=watched, _egress=watched)
    arm()
    running = asyncio.create_task(keep_running("watch", watcher.watch))
    for _round in range(50):
        await asyncio.sleep(0.001)
    assert not running.done()
    ended.set()
    await until(running.done)


WORK: dict[str, Callable[[ModuleType, Path, Callable[[], None]], Awaitable[None]]] = {
    "source.follower": follows,
    "reports.processes": reports,
    "key_rotation.resealing": reseals,
    "load.code_checks": checks,
    "egress.egress": reaches,
    "workerd.process_keeper": keeps,
    "workerd.supervisor": watches,
    "delivery": watches,
}


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restart failed tasks at once."""
    monkeypatch.setattr(keep_running_module, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(keep_running_module, "_LONGEST_PAUSE", 0.001)


@pytest_asyncio.fixture(loop_scope="module")
async def no_threads_left(folder: Path) -> AsyncIterator[Path]:
    """Yield a directory; at the end, wait for the threads of cancelled tasks, which still write there."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor() as executor:
        loop.set_default_executor(executor)
        yield folder
    loop.set_default_executor(ThreadPoolExecutor())


@pytest.mark.parametrize(("name", "number"), AWAITS)
async def test_a_task_goes_on_after_an_error_at_any_await(no_threads_left: Path, name: str, number: int) -> None:
    """After an error, or another's cancellation, at any await the task does all its work, and the log says why.

    An await that the work does not reach fails this test: give the work more to do.
    """
    for error in (Boom(), asyncio.CancelledError()):
        thrower = Thrower()
        module = thrown(f"nightsafe.delivery.{name}", thrower, only=TASKS[name])
        with capture_logs() as log:
            own = no_threads_left / type(error).__name__
            own.mkdir()
            await WORK[name](module, own, lambda: thrower.arm(number, "before", error))  # noqa: B023 - at once
        assert thrower.struck
        assert type(error).__name__ in {line.get("error") for line in log if line["event"] == "task.failed"}


@asynccontextmanager
async def always_failing() -> AsyncIterator[tuple["asyncio.Task[None]", list[int]]]:
    """Yield a lasting task that fails each time, and a list with an entry for each start."""
    begun: list[int] = []

    async def work() -> None:
        """Fail."""
        begun.append(1)
        raise Boom

    task = asyncio.create_task(keep_running("fails", work))
    yield task, begun
    task.cancel()


async def test_a_lasting_task_ends_when_cancelled_or_done() -> None:
    """A task ends when cancelled, however often it has failed, when its work is done, and on an error by design."""
    async with always_failing() as (task, begun):
        await until(lambda: len(begun) > 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def designed() -> None:
        """Raise an error that ends the task by design."""
        raise AWAY

    with pytest.raises(NightsafeError):
        await keep_running("gives up", designed, fatal=(NightsafeError,))
    await keep_running("done", lambda: asyncio.sleep(0))
