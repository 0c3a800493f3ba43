"""Who is to blame for a process: also who goes on after its answer, and nobody who only stands beside."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from tests.delivery.scene import Scene, text
from tests.delivery.sockets import websocket
from tests.delivery.test_cells import HELLO, LOOP, neighbour, until

from nightsafe.delivery.limits import Limits

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
ONE = Limits(cells=1, most_cells=1)


def said(logs: Any, event: str) -> list[Any]:
    """Whom the events of one kind are about."""
    return [log.get("script", log.get("scripts")) for log in logs if log["event"] == event]


async def begin(scene: Scene, path: str) -> None:
    """Let the script answer, and loop a while after that."""
    if path != "/socket":
        async with scene.client.stream("GET", path, headers={"host": f"later.localhost:{scene.port}"}) as answer:
            assert 200 == answer.status_code
            await anext(answer.aiter_raw())
            await asyncio.sleep(1.0)
        return
    async with websocket(scene.port, "later", path) as socket:
        await asyncio.sleep(0.7)
        socket.send(b"now")
        await asyncio.sleep(0.3)


@pytest.mark.parametrize("path", ["/work", "/body", "/socket"])
async def test_a_loop_after_the_answer(scene: Scene, path: str) -> None:
    """Is of who answered; whoever is asked meanwhile is in another process and notices nothing."""
    await scene.upload("hello", HELLO, [text("TOKEN", "x")])
    await scene.upload("later", LATER, cpu_ms=1000)
    with capture_logs() as logs:
        async with neighbour(scene):
            await begin(scene, path)
            await until(lambda: bool(said(logs, "script.held") + said(logs, "script.suspected")))

    assert ["later"] == said(logs, "script.held")
    assert 503 == (await scene.get("later")).status_code


@pytest.mark.parametrize("path", ["/work", "/socket"])
async def test_a_loop_beside_one_who_waits(folder: Path, path: str) -> None:
    """Either may be to blame, so nobody is held apart; from then on each is alone, and that shows which."""
    async with Scene(folder, limits=ONE) as scene:
        await scene.upload("slow", SLOW, [text("TOKEN", "x")], cpu_ms=500)
        await scene.upload("later", LATER, cpu_ms=1000)
        with capture_logs() as logs:
            answer, _ = await asyncio.gather(scene.get("slow"), begin(scene, path))
            await until(lambda: bool(said(logs, "script.suspected")))
            assert [] == said(logs, "script.held")
            await begin(scene, path)
            await until(lambda: bool(said(logs, "script.held")))
        again = await scene.get("slow")

    assert answer.status_code in {503, 200}
    assert [{"slow", "later"}] == [set(one) for one in said(logs, "script.suspected")]
    assert ["it used 1 s of CPU time without a pause"] == [
        log["reason"] for log in logs if log["event"] == "script.suspected"
    ]
    assert ["later"] == said(logs, "script.held")
    assert (200, "x") == (again.status_code, again.text)


async def test_one_who_used_it_before(folder: Path) -> None:
    """Is not to blame once nothing of it is under way."""
    async with Scene(folder, limits=ONE) as scene:
        await scene.upload("hello", HELLO, [text("TOKEN", "x")])
        await scene.upload("loop", LOOP, cpu_ms=600)
        await scene.get("hello")
        await asyncio.sleep(1.0)
        with capture_logs() as logs:
            await scene.get("loop", "/loop")

    assert ["loop"] == said(logs, "script.held")


async def test_an_earlier_version_that_loops(scene: Scene) -> None:
    """Is ended when its time is over; the one that has taken its place is not held for it."""
    await scene.upload("loop", LOOP, cpu_ms=1500)
    await scene.get("loop")
    with capture_logs() as logs:
        looping = asyncio.create_task(scene.get("loop", "/loop"))
        await until(lambda: bool(said(logs, "script.busy")))
        await scene.upload("loop", HELLO, [text("TOKEN", "mended")], cpu_ms=1500)
        first = await looping
        answers = {(await scene.get("loop")).text for _ in range(5)}

    assert first.status_code in {503, 200}  # workerd asks again by itself where a GET was on a kept connection
    assert {"mended"} == answers
    assert [("loop",)] == said(logs, "script.ended")
    assert [] == said(logs, "script.held")


async def test_a_callee_that_loops(scene: Scene) -> None:
    """Both names are in the reason, and another version of either lets the caller in."""
    caller = "export default { fetch: (request, env) => env.CALLEE.fetch(request) };"
    bound = {"type": "service", "name": "CALLEE", "service": "callee"}
    await scene.upload("callee", LOOP)
    await scene.upload("caller", caller, [bound], cpu_ms=600)
    with capture_logs() as logs:
        answer = await scene.get("caller", "/loop")
    await scene.upload("callee", HELLO, [text("TOKEN", "mended")])

    assert ["caller"] == said(logs, "script.held")
    assert "it used 0.6 s of CPU time without a pause, or one did that it calls: callee" in answer.text
    assert "mended" == (await scene.get("caller")).text


async def test_what_is_over_is_known_to_be(scene: Scene) -> None:
    """However it ended: nobody counts as one who uses a process when nothing of his is under way."""
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
    bound = {"type": "service", "name": "CALLEE", "service": "callee"}
    nowhere = {"type": "service", "name": "NOWHERE", "service": "callee", "entrypoint": "Nowhere"}
    await scene.upload("callee", callee)
    await scene.upload("caller", caller, [bound, nowhere])
    paths = ("fetch", "counter", "kept", "fails", "member", "absent", "nowhere", "throws", "slow")
    answers = {path: (await scene.get("caller", f"/{path}")).status_code for path in paths}
    with pytest.raises(httpx.ReadTimeout):
        await scene.client.get("/slow", headers={"host": f"caller.localhost:{scene.port}"}, timeout=0.1)

    assert {"fails", "absent", "nowhere", "throws"} == {path for path in paths if answers[path] == 500}
    await until(lambda: all(child.heard_at and not child.going for child in scene.delivery.supervisor.cells), 5)
