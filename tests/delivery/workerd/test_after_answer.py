"""Work that a script continues after its answer is finished, even if its isolate or its process ends meanwhile."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from tests.delivery.runtime import Binding, Runtime, text
from tests.delivery.sink import Sink
from tests.delivery.waiting import until
from tests.effort import last_first

from nightsafe.delivery.workerd.child import Child
from nightsafe.delivery.workerd.limits import Limits

MODULE: Final = """
import { WorkerEntrypoint, abortIsolate, waitUntil } from "cloudflare:workers";
const work = async (env, name) => {
  await fetch(`${env.SINK}/hold/${name}`);
  await new Promise((done) => setTimeout(done, 5));
  await scheduler.wait(5);
  await fetch(`${env.SINK}/done/${name}/${env.TOKEN}`);
};
export class Called extends WorkerEntrypoint {
  method() { this.ctx.waitUntil(work(this.env, "called")); return "called"; }
}
export default { async fetch(request, env, ctx) {
  const { pathname } = new URL(request.url);
  const { waitUntil: torn } = ctx;
  if (pathname === "/end") abortIsolate("enough");
  if (pathname === "/work") {
    ctx.waitUntil(work(env, "ctx"));
    waitUntil(work(env, "imported"));
    Reflect.apply(torn, ctx, [work(env, "torn")]);
    ctx.waitUntil({ then: (done) => work(env, "thenable").then(done) });
    ctx.waitUntil(Promise.reject(new Error("fails at once")));
    if (env.SELF?.method) ctx.waitUntil(env.SELF.method());
  }
  if (pathname === "/fill") { (globalThis.kept ??= []).push(new Uint8Array(16 << 20).fill(1)); }
  return new Response(env.TOKEN);
} };"""
CLASSIC: Final = """
const work = async (name) => { await fetch(`${SINK}/hold/${name}`); await fetch(`${SINK}/done/${name}/${TOKEN}`); };
addEventListener("fetch", (event) => {
  const { pathname } = new URL(event.request.url);
  if (pathname === "/work") event.waitUntil(work("event"));
  event.respondWith(new Response(TOKEN));
});"""
NAMES: Final = ("ctx", "imported", "torn", "thenable")
MOST_FINISHING: Final = 64

Change = Callable[[Runtime, Sink], Awaitable[None]]


@pytest_asyncio.fixture(loop_scope="module")
async def sink() -> AsyncIterator[Sink]:
    """Yield the server that scripts call."""
    async with Sink() as started:
        yield started


def bindings(sink: Sink, value: str) -> list[Binding]:
    """Return the bindings of the script."""
    own: Binding = {"type": "service", "name": "SELF", "service": "works", "entrypoint": "Called"}
    return [sink.binding, text("TOKEN", value), own]


@pytest.fixture
def terminated(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Return an event that is set once a workerd process has been asked to end."""
    event, terminate = asyncio.Event(), Child.terminate

    def told(child: Child) -> None:
        """Ask the process to end, and set the event."""
        terminate(child)
        event.set()

    monkeypatch.setattr(Child, "terminate", told)
    return event


async def counts(own_runtime: Runtime, **expected: int) -> bool:
    """Return whether the dispatchers' counters have these values."""
    told = await own_runtime.stats()
    return expected == {name: told[name] for name in expected}


async def start_work(own_runtime: Runtime, sink: Sink, **members: Any) -> tuple[str, ...]:
    """Start the script's work; return the paths that it calls at the end of each piece."""
    classic = members.get("classic", False)
    code = {"worker.js": ("application/javascript", CLASSIC.encode())} if classic else MODULE
    await own_runtime.upload("works", code, bindings(sink, "old")[: 2 if classic else 3], **members)
    assert "old" == (await own_runtime.get("works", "/work")).text
    names = ("event",) if classic else NAMES + ("called",) * (members.get("compatibility_date", "2026") > "2024-04")
    await sink.until(*(f"/hold/{name}" for name in names))
    return tuple(f"/done/{name}/old" for name in names)


async def change_secret(own_runtime: Runtime, sink: Sink) -> None:
    """Change the value and keep the code."""
    await own_runtime.upload("works", MODULE, bindings(sink, "new"))
    assert "new" == (await own_runtime.get("works")).text


async def redeploy(own_runtime: Runtime, _: Sink) -> None:
    """Change the code."""
    await own_runtime.upload("works", "export default { fetch: () => new Response('other') };")
    assert "other" == (await own_runtime.get("works")).text


async def delete(own_runtime: Runtime, _: Sink) -> None:
    """Delete the script."""
    await own_runtime.serve("works")
    assert 404 == (await own_runtime.get("works")).status_code


async def evict(own_runtime: Runtime, _: Sink) -> None:
    """Load other scripts in its place; it is loaded again when it is requested."""
    for name in ("one", "two", "three"):
        await own_runtime.upload(name, "export default { fetch: () => new Response('x') };")
        await own_runtime.get(name)
    assert "old" == (await own_runtime.get("works")).text


CHANGES: Final = (change_secret, redeploy, delete, evict)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("date", last_first(["2021-11-02", "2026-04-01", "2026-11-16"]))
async def test_work_outlives_its_isolate(folder: Path, sink: Sink, change: Change, date: str) -> None:
    """Work by `ctx`, by the imported `waitUntil` and by an entrypoint's `ctx` is finished; then the isolate ends."""
    async with Runtime(folder, reach_private=True, max_loaded=2, limits=Limits(cells=1, max_cells=1)) as own_runtime:
        done = await start_work(own_runtime, sink, compatibility_date=date)
        await change(own_runtime, sink)
        await until(lambda: counts(own_runtime, finishing=1))
        assert [] == [call for call in sink.called if call.startswith("/done")]

        sink.release()
        await sink.until(*done)
        await until(lambda: counts(own_runtime, finishing=0))


async def test_work_of_a_classic_script_is_finished(folder: Path, sink: Sink) -> None:
    """Work by `event.waitUntil` is finished after a redeployment."""
    async with Runtime(folder, reach_private=True) as own_runtime:
        done = await start_work(own_runtime, sink, classic=True)
        await redeploy(own_runtime, sink)
        await until(lambda: counts(own_runtime, finishing=1))

        sink.release()
        await sink.until(*done)
        await until(lambda: counts(own_runtime, finishing=0))


async def test_calls_under_way_outlive_both_scripts(folder: Path, sink: Sink) -> None:
    """An RPC target and a callback that are in use still work after both scripts are replaced."""
    callee = """
      import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
      class Counter extends RpcTarget { #value = 0; add(by) { return (this.#value += by); } }
      export class Called extends WorkerEntrypoint {
        make() { return new Counter(); }
        async call(back) { await fetch(`${this.env.SINK}/hold/callee`); return back(this.env.TOKEN); }
      }
      export default {};"""
    caller = """
      export default { async fetch(request, env) {
        const counter = await env.SELF.make();
        await counter.add(1);
        const called = env.SELF.call((word) => `${word} called ${env.TOKEN}`);
        await fetch(`${env.SINK}/hold/caller`);
        return Response.json([await counter.add(2), await called]);
      } };"""
    async with Runtime(folder, reach_private=True) as own_runtime:

        async def upload(value: str) -> None:
            """Upload both scripts with a value."""
            await own_runtime.upload("works", callee, bindings(sink, f"callee {value}")[:2])
            await own_runtime.upload("caller", caller, bindings(sink, f"caller {value}"))

        await upload("old")
        asking = asyncio.create_task(own_runtime.get("caller"))
        await sink.until("/hold/callee", "/hold/caller")
        await upload("new")

        sink.release()
        assert [3, "callee old called caller old"] == (await asking).json()
        assert [3, "callee new called caller new"] == (await own_runtime.get("caller")).json()


async def test_work_of_a_reloaded_isolate_is_finished(folder: Path, sink: Sink) -> None:
    """Work is also finished in an isolate that was loaded again after the script had ended its own."""
    async with Runtime(folder, reach_private=True) as own_runtime:
        await own_runtime.upload("works", MODULE, bindings(sink, "old"))
        assert 500 == (await own_runtime.get("works", "/end")).status_code
        assert "old" == (await own_runtime.get("works")).text
        done = await start_work(own_runtime, sink)
        await change_secret(own_runtime, sink)
        await until(lambda: counts(own_runtime, finishing=1))

        sink.release()
        await sink.until(*done)


async def test_an_isolate_without_work_ends_at_once(own_runtime: Runtime) -> None:
    """An isolate ends at once, also when it had work that is done."""
    code = """
      export default { async fetch(request, env, ctx) {
        const work = scheduler.wait(1);
        ctx.waitUntil(work);
        await work;
        return new Response(env.TOKEN);
      } };"""
    waiting = 0
    for number in range(100):
        await own_runtime.upload("quick", code, [text("TOKEN", str(number))])
        assert str(number) == (await own_runtime.get("quick")).text
        waiting = max(waiting, (await own_runtime.stats())["finishing"])

    assert 0 == waiting
    await until(lambda: counts(own_runtime, loaded=1, retired=99))


@pytest.mark.slow
async def test_work_has_as_long_as_on_the_platform(folder: Path, sink: Sink) -> None:
    """After that time the isolate ends, and its work with it."""
    async with Runtime(folder, reach_private=True) as own_runtime:
        await own_runtime.upload("works", MODULE, bindings(sink, "old")[:2])
        await own_runtime.get("works", "/work")
        await own_runtime.serve("works")
        await until(lambda: counts(own_runtime, finishing=1, loaded=0))
        await until(lambda: counts(own_runtime, finishing=0), 120)
        sink.release()

        await redeploy(own_runtime, sink)
        assert [] == [call for call in sink.called if call.startswith("/done")]


async def test_few_isolates_wait_for_work(folder: Path, sink: Sink) -> None:
    """When too many isolates wait, the one that has waited longest is ended."""
    async with Runtime(folder, reach_private=True) as own_runtime:
        code = MODULE.replace("/hold/${name}", "/hold/${name}/${env.TOKEN}")
        for number in range(70):
            await own_runtime.upload("works", code, bindings(sink, str(number))[:2])
            await own_runtime.get("works", "/work")
            await sink.until(*(f"/hold/{name}/{number}" for name in NAMES))
        await own_runtime.serve("works")
        await until(lambda: counts(own_runtime, finishing=MOST_FINISHING, loaded=0))

        sink.release()
        await sink.until(*(f"/done/ctx/{number}" for number in range(70 - MOST_FINISHING, 70)))
        await until(lambda: counts(own_runtime, finishing=0))
        assert "/done/ctx/0" not in sink.called


@pytest.mark.parametrize("stopped", [False, True], ids=["replaced", "replaced and stopped"])
async def test_work_outlives_its_process(
    folder: Path, sink: Sink, terminated: asyncio.Event, *, stopped: bool
) -> None:
    """A process replaced for its size ends once its work is done, also when the delivery then stops."""
    limits = Limits(cells=0, resident_bytes=200 << 20, shed_seconds=0.2)
    async with Runtime(folder, reach_private=True, limits=limits) as own_runtime:
        done = await start_work(own_runtime, sink)
        old, filled = own_runtime.delivery.supervisor.current, 0
        async with asyncio.timeout(60):
            while not terminated.is_set():
                with suppress(httpx.TransportError):
                    await own_runtime.get("works", "/fill" if filled < 8 else "/")
                filled += 1
        stopping = asyncio.create_task(own_runtime.delivery.stop()) if stopped else None
        assert await keeps_running(old)

        sink.release()
        await sink.until(*done)
        assert 0 == await asyncio.wait_for(old.wait(), 60)
        if stopping:
            await asyncio.wait_for(stopping, 60)


@pytest.mark.parametrize("cells", [0, 1])
async def test_work_outlives_the_stop_of_the_delivery(
    folder: Path, sink: Sink, terminated: asyncio.Event, cells: int
) -> None:
    """The stop waits for the work and for no longer, in every process that can run it."""
    async with Runtime(folder, reach_private=True, limits=Limits(cells=cells, max_cells=cells)) as own_runtime:
        done = await start_work(own_runtime, sink)
        await change_secret(own_runtime, sink)
        supervisor = own_runtime.delivery.supervisor
        child = [supervisor.current, *supervisor.cells][-1]
        stopping = asyncio.create_task(own_runtime.delivery.stop())
        await terminated.wait()
        assert await keeps_running(child)

        sink.release()
        await sink.until(*done)
        await asyncio.wait_for(stopping, 60)


async def test_a_hung_process_does_not_hold_up_the_stop(folder: Path) -> None:
    """A process that does not answer is ended all the same."""
    async with Runtime(folder, limits=Limits(drain_seconds=1.0)) as own_runtime:
        os.kill(own_runtime.delivery.supervisor.current.pid, signal.SIGSTOP)
        await asyncio.wait_for(own_runtime.delivery.stop(), 20)


async def keeps_running(child: Child) -> bool:
    """Return whether a process runs on for as long as another takes to start and end."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import asyncio")
    await process.wait()
    return child.alive
