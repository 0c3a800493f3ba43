"""Which script is blamed for a process that loops: also one that runs on after its answer, never a mere neighbour."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from tests.delivery.cells.test_cells import LOOP, neighbour
from tests.delivery.runtime import HELLO, Runtime, text
from tests.delivery.sink import Sink
from tests.delivery.sockets import websocket
from tests.delivery.waiting import until
from tests.effort import last_first

from nightsafe.delivery.workerd.limits import Limits

LATER = """
  const later = async () => { await scheduler.wait(700); while (true); };
  export default { fetch(request, env, ctx) {
    const path = new URL(request.url).pathname;
    if (path === "/work") ctx.waitUntil(later());
    if (path === "/body") {
      const { readable, writable } = new TransformStream();
      const writer = writable.getWriter();
      ctx.waitUntil(writer.write(new TextEncoder().encode("begun")).then(later));
      return new Response(readable);
    }
    if (path === "/socket") {
      const [client, server] = Object.values(new WebSocketPair());
      server.accept();
      server.addEventListener("message", () => { while (true); });
      return new Response(null, { status: 101, webSocket: client });
    }
    return new Response("fine");
  } };"""
SLOW = "export default { async fetch(request, env) { await scheduler.wait(2500); return new Response(env.TOKEN); } };"
ONE_CELL = Limits(cells=1, max_cells=1)


def scripts_of(logs: Any, event: str) -> list[Any]:
    """Return the scripts that the events of one kind name."""
    return [log.get("script", log.get("scripts")) for log in logs if log["event"] == event]


async def loop_later(own_runtime: Runtime, path: str) -> None:
    """Have the script answer, and loop some time after its answer."""
    if path != "/socket":
        async with own_runtime.client.stream(
            "GET", path, headers={"host": f"later.localhost:{own_runtime.port}"}
        ) as answer:
            assert 200 == answer.status_code
            await anext(answer.aiter_raw())
            await asyncio.sleep(1.0)
        return
    async with websocket(own_runtime.port, "later", path) as socket:
        await asyncio.sleep(0.7)
        socket.send(b"now")
        await asyncio.sleep(0.3)


@pytest.mark.parametrize("path", last_first(["/work", "/body", "/socket"]))
async def test_a_loop_after_the_answer_is_held(own_runtime: Runtime, path: str) -> None:
    """A script that loops after its answer is held; requests to others go to another process and notice nothing."""
    await own_runtime.upload("hello", HELLO, [text("TOKEN", "x")])
    await own_runtime.upload("later", LATER, cpu_ms=1000)
    with capture_logs() as logs:
        async with neighbour(own_runtime):
            await loop_later(own_runtime, path)
            await until(lambda: bool(scripts_of(logs, "script.held") + scripts_of(logs, "script.suspected")))

    assert ["later"] == scripts_of(logs, "script.held")
    assert 503 == (await own_runtime.get("later")).status_code


@pytest.mark.thorough
@pytest.mark.parametrize("path", ["/work", "/socket"])
async def test_two_scripts_in_a_looping_process_are_suspected(folder: Path, path: str) -> None:
    """Both scripts are suspected and neither is held; each then runs alone, which shows the one to blame."""
    async with Runtime(folder, limits=ONE_CELL) as own_runtime:
        await own_runtime.upload("slow", SLOW, [text("TOKEN", "x")], cpu_ms=500)
        await own_runtime.upload("later", LATER, cpu_ms=1000)
        with capture_logs() as logs:
            answer, _ = await asyncio.gather(own_runtime.get("slow"), loop_later(own_runtime, path))
            await until(lambda: bool(scripts_of(logs, "script.suspected")))
            assert [] == scripts_of(logs, "script.held")
            await loop_later(own_runtime, path)
            await until(lambda: bool(scripts_of(logs, "script.held")))
        again = await own_runtime.get("slow")

    assert 503 == answer.status_code
    assert [{"slow", "later"}] == [set(scripts) for scripts in scripts_of(logs, "script.suspected")]
    assert ["it used 1 s of CPU time without a pause"] == [
        log["reason"] for log in logs if log["event"] == "script.suspected"
    ]
    assert ["later"] == scripts_of(logs, "script.held")
    assert (200, "x") == (again.status_code, again.text)


async def test_a_script_without_work_under_way_is_not_blamed(folder: Path) -> None:
    """A script that used the process earlier is not blamed once it has no work under way."""
    async with Runtime(folder, limits=ONE_CELL) as own_runtime:
        await own_runtime.upload("hello", HELLO, [text("TOKEN", "x")])
        await own_runtime.upload("loop", LOOP, cpu_ms=600)
        await own_runtime.get("hello")
        await asyncio.sleep(1.0)
        with capture_logs() as logs:
            await own_runtime.get("loop", "/loop")

    assert ["loop"] == scripts_of(logs, "script.held")


async def test_the_successor_of_a_looping_version_is_not_held(own_runtime: Runtime) -> None:
    """A replaced version that loops is ended at its CPU limit; the version that replaced it is not held."""
    await own_runtime.upload("loop", LOOP, cpu_ms=1500)
    await own_runtime.get("loop")
    with capture_logs() as logs:
        looping = asyncio.create_task(own_runtime.get("loop", "/loop"))
        await until(lambda: bool(scripts_of(logs, "script.busy")))
        await own_runtime.upload("loop", HELLO, [text("TOKEN", "mended")], cpu_ms=1500)
        first = await looping
        answers = {(await own_runtime.get("loop")).text for _ in range(5)}

    assert 503 == first.status_code  # the request was not repeated, though workerd would do that by itself
    assert {"mended"} == answers
    assert [("loop",)] == scripts_of(logs, "script.ended")
    assert [] == scripts_of(logs, "script.held")


async def test_a_version_deployed_as_a_loop_begins_is_served(own_runtime: Runtime) -> None:
    """A version deployed just after a loop began is served before the loop is detected, and is not held for it."""
    await own_runtime.upload("loop", LOOP, cpu_ms=3000)
    await own_runtime.get("loop")
    with capture_logs() as logs:
        looping = asyncio.create_task(own_runtime.get("loop", "/loop"))
        await asyncio.sleep(0.05)
        await own_runtime.upload("loop", HELLO, [text("TOKEN", "mended")], cpu_ms=3000)
        answers = {(await own_runtime.get("loop")).text for _ in range(20)}
        assert not looping.done()
        assert 503 == (await looping).status_code
        answers |= {(await own_runtime.get("loop")).text for _ in range(5)}

    assert {"mended"} == answers
    assert ([], ["loop"]) == (scripts_of(logs, "script.held"), [name for (name,) in scripts_of(logs, "script.ended")])


async def test_a_request_leaves_a_process_that_begins_to_loop(folder: Path) -> None:
    """A request sent to a process that has just begun to loop is answered by another process, and only once."""
    code = """
      let asked = 0;
      export default { fetch: (request, env) => new Response(`${env.TOKEN} ${++asked}`) };"""
    async with Runtime(folder, limits=ONE_CELL) as own_runtime:
        await own_runtime.upload("counts", code, [text("TOKEN", "x")], cpu_ms=4000)
        await own_runtime.upload("loop", LOOP, cpu_ms=4000)
        assert "x 1" == (await own_runtime.get("counts")).text
        assert "fine" == (await own_runtime.get("loop")).text
        looping = asyncio.create_task(own_runtime.get("loop", "/loop"))
        await asyncio.sleep(0.45)
        answer = await own_runtime.get("counts")
        assert not looping.done()
        await looping

    assert "x 1" == answer.text  # in the main process, as its first request there


async def test_a_request_of_an_ended_process_is_not_repeated(folder: Path) -> None:
    """No part of the delivery process repeats a request whose process was ended, for any method."""
    code = """
      export default { async fetch(request, env) {
        if (new URL(request.url).pathname === "/") return new Response("fine");
        await fetch(`${env.SINK}/${request.method}`);
        while (true);
      } };"""
    async with Sink() as sink, Runtime(folder, reach_private=True) as own_runtime:
        for number, method in enumerate(("GET", "DELETE", "POST")):
            await own_runtime.upload("does", code, [sink.binding, text("TOKEN", str(number))], cpu_ms=600)
            await own_runtime.get("does")
            host = {"host": f"does.localhost:{own_runtime.port}"}
            asked = asyncio.create_task(own_runtime.client.request(method, "/do", headers=host))
            await sink.until(f"/{method}")
            await own_runtime.upload("does", code, [sink.binding, text("TOKEN", f"{number} again")], cpu_ms=600)
            assert 503 == (await asked).status_code

    assert ["/GET", "/DELETE", "/POST"] == sink.called


async def test_a_caller_held_for_its_callee_names_both(own_runtime: Runtime) -> None:
    """The reason names both scripts, and a new version of either lets the caller in."""
    caller = "export default { fetch: (request, env) => env.CALLEE.fetch(request) };"
    binding = {"type": "service", "name": "CALLEE", "service": "callee"}
    await own_runtime.upload("callee", LOOP)
    await own_runtime.upload("caller", caller, [binding], cpu_ms=600)
    with capture_logs() as logs:
        answer = await own_runtime.get("caller", "/loop")
    await own_runtime.upload("callee", HELLO, [text("TOKEN", "mended")])

    assert ["caller"] == scripts_of(logs, "script.held")
    assert "it used 0.6 s of CPU time without a pause, or a script that it calls did: callee" in answer.text
    assert "mended" == (await own_runtime.get("caller")).text


async def test_finished_work_no_longer_counts_as_use(own_runtime: Runtime) -> None:
    """However a request ends, its script no longer counts as using a process."""
    callee = """
      import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
      class Counter extends RpcTarget { up() { return 1; } }
      export default class extends WorkerEntrypoint {
        fetch() { return new Response("x"); }
        counter() { return new Counter(); }
        fails() { throw new Error("x"); }
        get member() { return 1; }
      }"""
    caller = """
      const uses = {
        "/fetch": (env) => env.CALLEE.fetch("http://x/"),
        "/counter": async (env) => { using counter = await env.CALLEE.counter(); return counter.up(); },
        "/kept": async (env) => { await (await env.CALLEE.counter()).up(); },
        "/fails": (env) => env.CALLEE.fails(),
        "/member": (env) => env.CALLEE.member,
        "/absent": (env) => env.CALLEE.absent(),
        "/nowhere": (env) => env.NOWHERE.fetch("http://x/"),
        "/throws": () => { throw new Error("x"); },
        "/slow": () => scheduler.wait(500),
      };
      export default { async fetch(request, env) {
        await uses[new URL(request.url).pathname](env);
        return new Response("x");
      } };"""
    binding = {"type": "service", "name": "CALLEE", "service": "callee"}
    nowhere = {"type": "service", "name": "NOWHERE", "service": "callee", "entrypoint": "Nowhere"}
    await own_runtime.upload("callee", callee)
    await own_runtime.upload("caller", caller, [binding, nowhere])
    paths = ("fetch", "counter", "kept", "fails", "member", "absent", "nowhere", "throws", "slow")
    answers = {path: (await own_runtime.get("caller", f"/{path}")).status_code for path in paths}
    with pytest.raises(httpx.ReadTimeout):
        await own_runtime.client.get("/slow", headers={"host": f"caller.localhost:{own_runtime.port}"}, timeout=0.1)

    assert {"fails", "absent", "nowhere", "throws"} == {path for path in paths if answers[path] == 500}
    await until(
        lambda: all(child.probed_at and not child.active_loads for child in own_runtime.delivery.supervisor.cells), 5
    )
