"""Serving while a process dies, hangs or grows, and while the source fails."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from tests.delivery.runtime import HELLO, Runtime, text
from tests.delivery.waiting import until
from tests.live.tools.running import alive

from nightsafe.delivery.source.bundle_source import BundleChanges
from nightsafe.delivery.workerd.limits import Limits
from nightsafe.errors import Code, NightsafeError


def restarted(own_runtime: Runtime, times: int) -> bool:
    """Return whether workerd has been restarted this many times."""
    return own_runtime.delivery.supervisor.restarts == times


async def retried(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Send a request again when its connection was lost with the process."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await ask()
            except httpx.TransportError:
                await asyncio.sleep(0)


async def test_a_killed_workerd_is_replaced(own_runtime: Runtime) -> None:
    """Under load another process takes over the socket; only requests under way are lost; values are the newest."""
    await own_runtime.upload("hello", HELLO, [text("TOKEN", "old")])
    await own_runtime.upload("hello", HELLO, [text("TOKEN", "new")])
    await own_runtime.get("hello")
    lost, answers, stop = 0, set(), False

    async def ask() -> None:
        """Send requests until told to stop."""
        nonlocal lost
        while not stop:
            try:
                answer = await own_runtime.get("hello")
                answers.add((answer.status_code, answer.text))
            except httpx.TransportError:
                lost += 1

    askers = [asyncio.create_task(ask()) for _ in range(8)]
    for kill in range(1, 4):
        os.kill(own_runtime.delivery.supervisor.current.pid, signal.SIGKILL)
        await until(partial(restarted, own_runtime, kill))
        await retried(lambda: own_runtime.get("hello"))
        await until(lambda: own_runtime.delivery.supervisor.current.alive)
    stop = True
    await asyncio.gather(*askers)

    assert {(200, "new")} == answers
    assert lost <= 3 * 8 * 2  # at each kill, one request of each asker, and one on a connection already in the queue


async def test_a_stopped_workerd_is_replaced(folder: Path) -> None:
    """A stopped process uses no CPU, but does not answer either."""
    async with Runtime(folder, limits=Limits(idle_seconds=1.0)) as own_runtime:
        await own_runtime.upload("hello", HELLO, [text("TOKEN", "x")])
        os.kill(own_runtime.delivery.supervisor.current.pid, signal.SIGSTOP)

        assert "x" == (await retried(lambda: own_runtime.get("hello"))).text


GROW = """
  const kept = [];
  export default { fetch() {
    kept.push(new Uint8Array(16 << 20).fill(1));
    return new Response(String(kept.length)); } };"""


@pytest.mark.parametrize("cells", [0, 2])
async def test_a_process_that_grows_too_large_unloads_scripts(folder: Path, cells: int) -> None:
    """The process unloads its scripts and stays; none of their requests fails or gets an older value."""
    async with Runtime(folder, limits=Limits(resident_bytes=200 << 20, cells=cells)) as own_runtime:
        await own_runtime.upload("grow", GROW)
        await own_runtime.upload("hello", HELLO, [text("TOKEN", "0")])
        supervisor = own_runtime.delivery.supervisor
        pids, number = set(supervisor.pids()), 0
        kept: list[int] = []
        while not kept or kept[-1] > min(kept[-2:]):
            if number < 12:
                await own_runtime.get("grow")
            number += 1
            await own_runtime.upload("hello", HELLO, [text("TOKEN", str(number))])
            assert str(number) == (await own_runtime.get("hello")).text
            if number >= 12:
                kept.append(int((await own_runtime.get("grow")).text))
                assert number < 2000

        assert pids == set(supervisor.pids())


async def test_a_process_that_stays_too_large_is_replaced(folder: Path) -> None:
    """Its successor has the newest values; a request that comes as it stops to listen may be lost."""
    async with Runtime(folder, limits=Limits(resident_bytes=1 << 20, shed_seconds=0.0, cells=0)) as own_runtime:
        supervisor = own_runtime.delivery.supervisor
        first, number = supervisor.current.pid, 0
        while supervisor.current.pid == first or number < 20:
            number += 1
            await own_runtime.upload("hello", HELLO, [text("TOKEN", str(number))])
            assert str(number) == (await retried(lambda: own_runtime.get("hello"))).text

        assert 0 == supervisor.restarts


async def test_a_workerd_that_takes_no_push_is_killed(own_runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would serve an old value, so it is killed; the next process has the new value."""
    await own_runtime.upload("hello", HELLO, [text("TOKEN", "old")])
    await own_runtime.get("hello")
    child = own_runtime.delivery.supervisor.current

    async def deaf(*_: object) -> None:
        """Refuse the push."""
        raise NightsafeError(Code.UNAVAILABLE, "deaf")

    monkeypatch.setattr(child, "push", deaf)
    await own_runtime.upload("hello", HELLO, [text("TOKEN", "new")])

    assert not child.alive
    assert "new" == (await retried(lambda: own_runtime.get("hello"))).text


async def test_scripts_are_served_while_the_source_is_away(
    own_runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known scripts are served on, also by a workerd that starts meanwhile; no change is missed afterwards."""
    await own_runtime.upload("hello", HELLO, [text("TOKEN", "old")])

    async def fail(*_: object, **__: object) -> Any:
        """Fail as an unreachable API does."""
        raise NightsafeError(Code.UNAVAILABLE, "the API cannot be reached")

    real = {name: getattr(own_runtime.source, name) for name in ("bundle", "changes", "module")}
    for name in real:
        monkeypatch.setattr(own_runtime.source, name, fail)
    serial = await own_runtime.put("hello", own_runtime.version("hello", HELLO, [text("TOKEN", "new")]))
    await until(lambda: "hello" in own_runtime.delivery.follower.problems)
    await own_runtime.delivery.supervisor.current.kill()
    assert "old" == (await retried(lambda: own_runtime.get("hello"))).text
    for name, method in real.items():
        monkeypatch.setattr(own_runtime.source, name, method)
    await until(lambda: not own_runtime.delivery.follower.problems)

    assert serial == own_runtime.source.serial
    assert "new" == (await own_runtime.get("hello")).text


async def test_a_forged_or_older_bundle_is_refused(own_runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unsigned, altered, foreign or older bundle is refused with the reason; the last good one is served on."""
    await own_runtime.upload("hello", HELLO, [text("TOKEN", "old")])
    old = await own_runtime.source.bundle("hello")
    await own_runtime.upload("hello", HELLO, [text("TOKEN", "good")])
    good = await own_runtime.source.bundle("hello")
    other = await own_runtime.source.bundle("other")

    for served, words in [
        (b"", "is not signed"),
        (good[77:], "is not signed"),
        (good[:-2] + b" }", "no trusted key has signed"),
        (good.replace(b'"script":"hello"', b'"script":"jello"'), "no trusted key has signed"),
        (other, "another script"),
        (old, "older state"),
    ]:

        async def bundle(*_: object, served: bytes = served) -> bytes:
            """Return the bundle of an attacker."""
            return served

        with monkeypatch.context() as patch:
            patch.setattr(own_runtime.source, "bundle", bundle)
            with pytest.raises(NightsafeError, match=words):
                await own_runtime.delivery.follower.fetch("hello")

        assert "good" == (await own_runtime.get("hello")).text


async def test_a_restored_database_is_not_served(folder: Path) -> None:
    """A restored database is not served, even after a restart of delivery and when it has grown; the log says why."""
    async with Runtime(folder) as own_runtime:
        for value in ("one", "two", "three"):
            await own_runtime.upload("hello", HELLO, [text("TOKEN", value)])
        again = Runtime(folder)
        again.ring, again.signing_key, again.verifier, again.sealer = (
            own_runtime.ring,
            own_runtime.signing_key,
            own_runtime.verifier,
            own_runtime.sealer,
        )
        again.source._signer = own_runtime.signing_key
    with capture_logs() as logs:
        async with again:
            for _ in range(5):
                await again.put("hello", again.version("hello", HELLO, [text("TOKEN", "one")]))
                await until(lambda: "" in again.delivery.follower.problems)
                answer = await again.get("hello")

                assert answer.status_code in {404, 503}
                assert "older state" in again.delivery.follower.problems[""][0]
    assert any("older state" in log.get("reason", "") for log in logs)


async def test_a_restored_log_is_reported(own_runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log says so when the source does not know the cursor as its own."""
    await own_runtime.upload("hello", HELLO, [text("TOKEN", "x")])
    first = True
    real = own_runtime.source.changes

    async def changes(after: str, *, wait: bool) -> BundleChanges:
        """Report a restore the first time."""
        nonlocal first
        if first:
            first = False
            return BundleChanges(cursor=after, scripts=(), whole=True, rolled_back=True)
        return await real(after, wait=wait)

    monkeypatch.setattr(own_runtime.source, "changes", changes)
    with capture_logs() as logs:
        await own_runtime.upload("hello", HELLO, [text("TOKEN", "y")])
        await own_runtime.upload("hello", HELLO, [text("TOKEN", "z")])

    assert any("put back" in log.get("reason", "") for log in logs)


async def test_a_failed_task_starts_again(own_runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unforeseen error ends a task, which starts again: changes are delivered as before, and the log says why."""

    async def broken(*_: object, **__: object) -> Any:
        """Raise an unforeseen error."""
        raise ZeroDivisionError

    with capture_logs() as logs:
        with monkeypatch.context() as patch:
            patch.setattr(own_runtime.source, "changes", broken)
            await own_runtime.put("hello", own_runtime.version("hello", HELLO, [text("TOKEN", "x")]))
            await until(lambda: any(log["event"] == "task.failed" for log in logs))
        await until(lambda: own_runtime.delivery.follower.knows("hello"))
        await own_runtime.upload("hello", HELLO, [text("TOKEN", "y")])

    assert "y" == (await own_runtime.get("hello")).text
    assert {("follow", "ZeroDivisionError")} == {
        (log["task"], log["error"]) for log in logs if log["event"] == "task.failed"
    }


async def test_a_value_that_cannot_be_opened_is_logged(own_runtime: Runtime) -> None:
    """The log names the value, and its script is a 500 until the value is put again."""
    stolen = own_runtime.seal_text("other", "TOKEN", "planted-secret")
    version = own_runtime.version("hello", HELLO)
    moved = type(version)(
        **{name: getattr(version, name) for name in version.__struct_fields__} | {"bindings": (stolen,)}
    )
    with capture_logs() as logs:
        await own_runtime.serve("hello", moved)
        answer = await own_runtime.get("hello")
    await own_runtime.upload("hello", HELLO, [text("TOKEN", "again")])

    assert 500 == answer.status_code
    assert "'TOKEN' cannot be opened" in str(logs)
    assert "planted" not in answer.text + str(logs)
    assert "again" == (await own_runtime.get("hello")).text


async def test_a_script_is_a_503_before_the_source_is_reached(folder: Path) -> None:
    """A script is a 503 and not a 404, because it may exist."""
    own_runtime = Runtime(folder)

    async def fail(*_: object, **__: object) -> Any:
        """Fail as an unreachable API does."""
        raise NightsafeError(Code.UNAVAILABLE, "the API cannot be reached")

    own_runtime.source.changes = own_runtime.source.bundle = fail  # type: ignore[method-assign]
    async with own_runtime:
        answer = await own_runtime.get("hello")

        assert (503, "1") == (answer.status_code, answer.headers["retry-after"])


async def test_a_second_delivery_process_is_refused(own_runtime: Runtime, folder: Path) -> None:
    """A second process on a folder is refused, and the first is not disturbed."""
    await own_runtime.upload("hello", HELLO, [text("TOKEN", "x")])
    with pytest.raises(NightsafeError, match="another delivery process"):
        async with Runtime(folder):
            pass

    assert "x" == (await own_runtime.get("hello")).text


async def test_workerd_dies_with_the_delivery_process(folder: Path) -> None:
    """However the delivery process ends, workerd ends too, so that no old value is served past a restart."""
    code = """
import asyncio, sys
from functools import partial
from pathlib import Path
from tests.delivery.runtime import Runtime
async def main():
    async with Runtime(Path(sys.argv[1])) as own_runtime:
        print(own_runtime.delivery.supervisor.current.pid, own_runtime.port, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    parent = subprocess.Popen(  # noqa: ASYNC220 - starting it does not block
        [sys.executable, "-c", code, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert parent.stdout is not None
    with parent, parent.stdout:
        try:
            child, port = await asyncio.to_thread(_first_pair, parent.stdout)
            assert alive(child)
        finally:
            parent.kill()
    await until(lambda: not alive(child))

    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{port}/")


def _first_pair(lines: Any) -> tuple[int, int]:
    """Return the numbers of the first line that consists of two numbers."""
    for line in lines:
        words = line.split()
        if len(words) == 2 and all(word.isdigit() for word in words):
            return int(words[0]), int(words[1])
    raise AssertionError("the process said nothing")
