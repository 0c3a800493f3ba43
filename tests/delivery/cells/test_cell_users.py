"""Who is to blame for a process: also who goes on after its answer, and nobody who only stands beside."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from tests.delivery.cells.test_cells import HELLO, LOOP, neighbour, until
from tests.delivery.scene import Scene, text
from tests.delivery.sink import Sink
from tests.delivery.sockets import websocket

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

    assert 503 == answer.status_code
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

    assert 503 == first.status_code  # and not asked again, though workerd would do that by itself
    assert {"mended"} == answers
    assert [("loop",)] == said(logs, "script.ended")
    assert [] == said(logs, "script.held")


async def test_a_version_that_comes_as_one_begins_to_loop(scene: Scene) -> None:
    """Is served at once, before anybody knows of the loop, and is not held for it."""
    await scene.upload("loop", LOOP, cpu_ms=3000)
    await scene.get("loop")
    with capture_logs() as logs:
        looping = asyncio.create_task(scene.get("loop", "/loop"))
        await asyncio.sleep(0.05)
        await scene.upload("loop", HELLO, [text("TOKEN", "mended")], cpu_ms=3000)
        answers = {(await scene.get("loop")).text for _ in range(20)}
        assert not looping.done()
        assert 503 == (await looping).status_code
        answers |= {(await scene.get("loop")).text for _ in range(5)}

    assert {"mended"} == answers
    assert ([], ["loop"]) == (said(logs, "script.held"), [name for (name,) in said(logs, "script.ended")])


async def test_who_is_sent_to_a_process_that_has_just_begun_to_loop(folder: Path) -> None:
    """Is answered by another one, as soon as it is known that it does not answer; nothing is done twice."""
    code = """
      let asked = 0;
      export default { fetch: (request, env) => new Response(`${env.TOKEN} ${++asked}`) };"""
    async with Scene(folder, limits=ONE) as scene:
        await scene.upload("counts", code, [text("TOKEN", "x")], cpu_ms=4000)
        await scene.upload("loop", LOOP, cpu_ms=4000)
        assert "x 1" == (await scene.get("counts")).text
        assert "fine" == (await scene.get("loop")).text
        looping = asyncio.create_task(scene.get("loop", "/loop"))
        await asyncio.sleep(0.45)
        answer = await scene.get("counts")
        assert not looping.done()
        await looping

    assert "x 1" == answer.text  # in the main process, as its first request there


async def test_nothing_is_done_twice(folder: Path) -> None:
    """A request whose process was ended is not made again, by nobody, whatever its method."""
    code = """
      export default { async fetch(request, env) {
        if (new URL(request.url).pathname === "/") return new Response("fine");
        await fetch(`${env.SINK}/${request.method}`);
        while (true);
      } };"""
    async with Sink() as sink, Scene(folder, reach_private=True) as scene:
        for number, method in enumerate(("GET", "DELETE", "POST")):
            await scene.upload("does", code, [sink.binding, text("TOKEN", str(number))], cpu_ms=600)
            await scene.get("does")
            host = {"host": f"does.localhost:{scene.port}"}
            asked = asyncio.create_task(scene.client.request(method, "/do", headers=host))
            await sink.until(f"/{method}")
            await scene.upload("does", code, [sink.binding, text("TOKEN", f"{number} anew")], cpu_ms=600)
            assert 503 == (await asked).status_code

    assert ["/GET", "/DELETE", "/POST"] == sink.called


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
    assert "it used 0.6 s of CPU time without a pause, or a script that it calls did: callee" in answer.text
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
