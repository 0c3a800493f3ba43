"""Scripts that compute for long, loop for ever or exhaust the memory: other scripts are not affected."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs
from tests.delivery.runtime import HELLO, Runtime, text
from tests.delivery.waiting import until
from tests.live.tools.running import alive

from nightsafe.delivery.workerd.limits import Limits

LOOP = """
  export default { fetch(request) {
    if (new URL(request.url).pathname === "/loop") while (true);
    return new Response("fine");
  } };"""
BUSY = """
  export default { fetch() {
    let sum = 0;
    for (let i = 0; i < 1.5e9; i++) sum += i;
    return new Response("done");
  } };"""
EATER = """
  const kept = [];
  export default { async fetch() {
    for (;;) { kept.push(new Uint8Array(64 << 20).fill(1)); await scheduler.wait(1); }
  } };"""
BORN = "let born; export default { fetch: () => new Response((born ??= crypto.randomUUID())) };"
PROVEN = 200
"""Answers after which a script runs in the main process, as in `runtime/cells/cells.js`."""


class Neighbour:
    """Requests another script all the time, on kept connections."""

    def __init__(self, own_runtime: Runtime, script: str) -> None:
        self._runtime = own_runtime
        self._script = script
        self.answers: list[str] = []

    async def run(self) -> None:
        """Send requests until cancelled."""
        while True:
            answer = await self._runtime.get(self._script)
            self.answers.append(f"{answer.status_code} {answer.text}")


@asynccontextmanager
async def neighbour(own_runtime: Runtime, script: str = "hello") -> AsyncIterator[Neighbour]:
    """Run a neighbour during the block; check afterwards that each of its requests was answered."""
    asking = Neighbour(own_runtime, script)
    task = asyncio.create_task(asking.run())
    try:
        yield asking
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled(), task.exception()
    assert {"200 x"} == set(asking.answers)


async def prove(own_runtime: Runtime, script: str) -> None:
    """Request a script until it runs in the main process."""
    for _ in range(PROVEN + 1):
        assert 200 == (await own_runtime.get(script)).status_code


async def test_a_long_computation_is_answered(own_runtime: Runtime) -> None:
    """A script that computes for over a second is answered; no process ends, and other scripts do not wait for it."""
    await own_runtime.upload("hello", HELLO, [text("TOKEN", "x")])
    await own_runtime.upload("busy", BUSY)
    await own_runtime.get("hello")
    with capture_logs() as logs:
        async with neighbour(own_runtime) as other:
            answers = await asyncio.gather(own_runtime.get("busy"), own_runtime.get("busy"))
            after = len(other.answers)

    assert [(200, "done")] * 2 == [(answer.status_code, answer.text) for answer in answers]
    assert after > 20
    assert "script.busy" in {log["event"] for log in logs}
    assert not {"workerd.ended", "workerd.busy", "script.held"} & {log["event"] for log in logs}


async def test_an_endless_loop_is_ended_and_held(own_runtime: Runtime) -> None:
    """A script that loops is ended at its CPU limit and held; others are not affected; its next version is served."""
    await own_runtime.upload("hello", HELLO, [text("TOKEN", "x")])
    await own_runtime.upload("loop", LOOP, cpu_ms=1000)
    assert "fine" == (await own_runtime.get("loop")).text
    pid = own_runtime.delivery.supervisor.current.pid
    with capture_logs() as logs:
        async with neighbour(own_runtime) as other:
            ended = await own_runtime.get("loop", "/loop")
            before = len(other.answers)
            held = await own_runtime.get("loop", "/loop")
            harmless = await own_runtime.get("loop")
    await own_runtime.upload("loop", LOOP + "// mended", cpu_ms=1000)

    assert [503] * 3 == [answer.status_code for answer in (ended, held, harmless)]
    assert all("it used 1 s of CPU time" in answer.text for answer in (ended, held, harmless))
    assert 1 <= int(held.headers["retry-after"]) <= 10
    assert before > 20
    assert [("loop", 10)] == [(log["script"], log["seconds"]) for log in logs if log["event"] == "script.held"]
    assert pid == own_runtime.delivery.supervisor.current.pid
    assert "fine" == (await own_runtime.get("loop")).text


async def test_each_hold_lasts_longer_than_the_last(folder: Path) -> None:
    """A script that loops again is held for longer each time."""
    async with Runtime(folder, limits=Limits(first_hold=0.2)) as own_runtime:
        await own_runtime.upload("loop", LOOP, cpu_ms=600)

        async def loops() -> bool:
            """Make the script loop; return whether it is held apart for it."""
            return "it used" in (await own_runtime.get("loop", "/loop")).text

        async def is_served() -> bool:
            """Return whether the script answers."""
            return (await own_runtime.get("loop")).status_code == 200

        with capture_logs() as logs:
            for _ in range(3):
                await until(loops)
                await until(is_served)

        assert [0.2, 0.4, 0.8] == [log["seconds"] for log in logs if log["event"] == "script.held"]


async def test_a_new_value_ends_a_hold(own_runtime: Runtime) -> None:
    """A version with another secret value is another version, so it is not held."""
    await own_runtime.upload("loop", LOOP, [text("A", "1")], cpu_ms=600)
    await own_runtime.get("loop", "/loop")
    assert 503 == (await own_runtime.get("loop")).status_code
    await own_runtime.upload("loop", LOOP, [text("A", "2")], cpu_ms=600)

    assert "fine" == (await own_runtime.get("loop")).text


async def test_a_change_does_not_wait_for_a_computation(own_runtime: Runtime) -> None:
    """A change is acknowledged and visible at once; later requests do not wait for the older version."""
    code = """
      export default { fetch(request, env) {
        let sum = 0;
        if (new URL(request.url).pathname === "/busy") for (let i = 0; i < 3e9; i++) sum += i;
        return new Response(env.TOKEN);
      } };"""
    await own_runtime.upload("busy", code, [text("TOKEN", "old")])
    await own_runtime.get("busy")
    with capture_logs() as logs:
        computing = asyncio.create_task(own_runtime.get("busy", "/busy"))
        await until(lambda: "script.busy" in {log["event"] for log in logs})
        await own_runtime.upload("busy", code, [text("TOKEN", "new")])
        newer = await own_runtime.get("busy")
        was_computing = not computing.done()

    assert ("new", True) == (newer.text, was_computing)
    assert "old" == (await computing).text
    assert "new" == (await own_runtime.get("busy")).text
    assert "workerd.deaf" not in {log["event"] for log in logs}


async def test_a_script_that_exhausts_memory_is_held(folder: Path) -> None:
    """A script that exhausts its cell's memory is ended and held with that reason; others are not affected."""
    async with Runtime(folder, limits=Limits(cell_bytes=300 << 20)) as own_runtime:
        await own_runtime.upload("hello", HELLO, [text("TOKEN", "x")])
        await own_runtime.upload("eater", EATER)
        async with neighbour(own_runtime):
            answer = await own_runtime.get("eater")
        again = await own_runtime.get("eater")

        assert [503, 503] == [answer.status_code, again.status_code]
        assert "too much memory" in answer.text
        assert 0 == own_runtime.delivery.supervisor.restarts


@pytest.mark.thorough
async def test_a_script_that_overflows_its_heap_is_held(own_runtime: Runtime) -> None:
    """A script that overflows its heap aborts its own process, and is held all the same."""
    code = """
      const kept = [];
      export default { async fetch() {
        for (;;) { kept.push(new Array(4e6).fill(0.5 + kept.length)); await scheduler.wait(0); }
      } };"""
    await own_runtime.upload("hello", HELLO, [text("TOKEN", "x")])
    await own_runtime.upload("heap", code)
    async with neighbour(own_runtime):
        first = await own_runtime.get("heap")
        await until(lambda: "heap" in own_runtime.delivery.supervisor.holds.current())
        held = await own_runtime.get("heap")

    assert [503, 503] == [first.status_code, held.status_code]
    assert "held apart" in held.text


async def test_a_killed_cell_blames_no_script(own_runtime: Runtime) -> None:
    """After somebody kills a cell, no script is held and the next cell serves."""
    await own_runtime.upload("hello", HELLO, [text("TOKEN", "x")])
    await own_runtime.get("hello")
    for child in own_runtime.delivery.supervisor.cells:
        os.kill(child.pid, signal.SIGKILL)
    answers = set()
    while "x" not in answers:
        answers.add((await own_runtime.get("hello")).text)

    assert not any("held" in answer for answer in answers)


async def test_a_proven_script_runs_in_the_main_process(own_runtime: Runtime) -> None:
    """A script moves once, and stays when a value changes; other code must prove itself first."""
    await own_runtime.upload("born", BORN)
    first = (await own_runtime.get("born")).text
    await prove(own_runtime, "born")
    moved = {(await own_runtime.get("born")).text for _ in range(20)}
    await own_runtime.upload("born", BORN, [text("A", "1")])
    changed = {(await own_runtime.get("born")).text for _ in range(20)}

    assert 1 == len(moved)
    assert 1 == len(changed)
    assert 3 == len({first} | moved | changed)


async def test_a_loop_in_the_main_process_replaces_it(own_runtime: Runtime) -> None:
    """Another main process takes over the socket; on its next run the script is alone in a cell, and held."""
    await own_runtime.upload("hello", HELLO, [text("TOKEN", "x")])
    await own_runtime.upload("loop", LOOP)
    await prove(own_runtime, "loop")
    pid = own_runtime.delivery.supervisor.current.pid
    looping = asyncio.create_task(own_runtime.get("loop", "/loop"))
    await until(lambda: own_runtime.delivery.supervisor.current.pid != pid)
    async with httpx.AsyncClient(timeout=60) as fresh:
        host = {"host": f"hello.localhost:{own_runtime.port}"}
        assert "x" == (await fresh.get(f"http://127.0.0.1:{own_runtime.port}/", headers=host)).text
    with pytest.raises(httpx.TransportError):
        await looping
    assert pid != own_runtime.delivery.supervisor.current.pid


@pytest.mark.thorough
async def test_a_long_computation_in_the_main_process_is_answered(folder: Path) -> None:
    """The computation is answered though another main process takes over; no kept connection loses a request."""
    code = """
      export default { fetch(request) {
        let sum = 0;
        if (new URL(request.url).pathname === "/busy") for (let i = 0; i < 1.5e9; i++) sum += i;
        return new Response("done");
      } };"""
    async with Runtime(folder) as own_runtime:
        await own_runtime.upload("hello", HELLO, [text("TOKEN", "x")])
        await own_runtime.upload("busy", code)
        await prove(own_runtime, "busy")
        with capture_logs() as logs:
            async with neighbour(own_runtime), neighbour(own_runtime) as other:
                answer = await own_runtime.get("busy", "/busy")
                seen = len(other.answers)
                await until(lambda: len(other.answers) > seen + 20)

        assert (200, "done") == (answer.status_code, answer.text)
        assert "workerd.busy" in {log["event"] for log in logs}
        assert not {"workerd.ended", "workerd.hung"} & {log["event"] for log in logs}
        assert "done" == (await own_runtime.get("busy")).text
        processes = {*own_runtime.delivery.supervisor.pids()}
        assert 4 == len(processes)

    assert not [pid for pid in processes if alive(pid)]


async def test_more_cells_start_when_all_are_in_use(own_runtime: Runtime) -> None:
    """Further cells start when all are in use, and a script that computes still has a cell of its own."""
    waiting = "export default { async fetch() { await scheduler.wait(500); return new Response('x'); } };"
    names = [f"waits-{number}" for number in range(12)]
    for name in names:
        await own_runtime.upload(name, waiting)
    await own_runtime.upload("busy", BUSY)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(own_runtime.get(name)) for name in [*names, "busy", *names]]

    assert {200} == {task.result().status_code for task in tasks}
    assert len(own_runtime.delivery.supervisor.cells) > 2


async def test_a_loop_without_cells_ends_the_main_process(folder: Path) -> None:
    """Without cells every script runs in the main process, and a loop ends that process."""
    async with Runtime(folder, limits=Limits(cells=0, max_cells=0, stall_cpu_seconds=1.0)) as own_runtime:
        await own_runtime.upload("hello", HELLO, [text("TOKEN", "x")])
        await own_runtime.upload("loop", LOOP)
        with pytest.raises(httpx.TransportError):
            await own_runtime.get("loop", "/loop")

        assert "x" == (await own_runtime.get("hello")).text
