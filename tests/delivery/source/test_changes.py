"""Changes while requests run: no older value after a newer one, no change lost, no isolate left behind."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.delivery.runtime import HELLO, Runtime, text
from tests.delivery.sockets import websocket
from tests.effort import chosen

from nightsafe.delivery.workerd.child import Child
from nightsafe.delivery.workerd.limits import Limits

ONE_CELL = Limits(cells=1, max_cells=1)


async def test_an_update_storm_shows_no_older_value(own_runtime: Runtime) -> None:
    """While a value changes often under load, no request fails or gets an older value after a newer one."""
    changes = chosen(thorough=1000, quick=100)
    last, stop, wrong, seen = 0, False, [], set()

    async def ask() -> None:
        """Send requests until told to stop; note each answer that is older than one seen before its request began."""
        nonlocal last
        while not stop:
            before = last
            answer = await own_runtime.get("storm")
            value = int(answer.text) if answer.status_code == 200 else -1
            if value < before:
                wrong.append((answer.status_code, answer.text, before))
            seen.add(value)
            last = max(last, value)

    await own_runtime.upload("storm", HELLO, [text("TOKEN", "0")])
    askers = [asyncio.create_task(ask()) for _ in range(8)]
    for number in range(1, changes + 1):
        await own_runtime.upload("storm", HELLO, [text("TOKEN", str(number))])
        last = max(last, number)  # the change was acknowledged: no later request may get an older value
    stop = True
    await asyncio.gather(*askers)

    assert [] == wrong
    assert len(seen) > changes // 10
    assert str(changes) == (await own_runtime.get("storm")).text
    counted = await own_runtime.stats()
    assert (1, counted["starts"] - 1, 0) == (counted["loaded"], counted["retired"], counted["failures"])


async def test_the_last_of_many_fast_changes_is_served(own_runtime: Runtime) -> None:
    """When changes come faster than they can be fetched, the last one is served."""
    for number in range(200):
        serial = await own_runtime.put("fast", own_runtime.version("fast", HELLO, [text("TOKEN", str(number))]))
    await own_runtime.source.wait_until_acknowledged(serial)

    assert "199" == (await own_runtime.get("fast")).text


async def test_a_response_under_way_is_finished(own_runtime: Runtime) -> None:
    """The version that began a response finishes it, though it was replaced and its isolate retired."""
    code = """
      let release;
      export default { async fetch(request, env, ctx) {
        const { pathname } = new URL(request.url);
        if (pathname === "/plain") return new Response(env.TOKEN);
        const { readable, writable } = new TransformStream();
        const writer = writable.getWriter();
        const say = (words) => writer.write(new TextEncoder().encode(words));
        ctx.waitUntil((async () => {
          for (let line = 0; line < 10; line++) { await say(`${env.TOKEN}${line} `); await scheduler.wait(30); }
          await writer.close();
        })());
        return new Response(readable);
      } };"""
    await own_runtime.upload("stream", code, [text("TOKEN", "old")])
    async with own_runtime.client.stream("GET", "/", headers={"nightsafe-script": "stream"}) as answer:
        chunks = answer.aiter_text()
        words = await anext(chunks)
        await own_runtime.upload("stream", code, [text("TOKEN", "new")])
        assert "new" == (await own_runtime.get("stream", "/plain")).text
        while (await own_runtime.stats())["retired"] == 0:
            await own_runtime.get("stream", "/plain")
        words += "".join([chunk async for chunk in chunks])

    assert "".join(f"old{line} " for line in range(10)) == words


async def test_a_websocket_outlives_an_update(own_runtime: Runtime) -> None:
    """A WebSocket stays with the version that opened it."""
    code = """
      export default { fetch(request, env) {
        if (request.headers.get("upgrade") !== "websocket") return new Response(env.TOKEN);
        const [client, server] = Object.values(new WebSocketPair());
        server.accept();
        server.addEventListener("message", ({ data }) => server.send(`${env.TOKEN} ${data}`));
        return new Response(null, { status: 101, webSocket: client });
      } };"""
    await own_runtime.upload("socket", code, [text("TOKEN", "old")])
    async with websocket(own_runtime.port, "socket") as socket:
        socket.send(b"one")
        assert b"old one" == await socket.receive()
        await own_runtime.upload("socket", code, [text("TOKEN", "new")])
        assert "new" == (await own_runtime.get("socket")).text
        await until(own_runtime.stats, lambda counted: counted["retired"] == 1)
        socket.send(b"two")
        assert b"old two" == await socket.receive()


async def test_another_percentage_keeps_the_isolates(own_runtime: Runtime) -> None:
    """Only changed versions are loaded again: another percentage leaves both isolates as they are."""
    code = "let born; export default { fetch: () => new Response((born ??= crypto.randomUUID())) };"
    versions = [own_runtime.version("split", code, percentage=50.0) for _ in range(2)]
    await own_runtime.serve("split", *versions)
    before = {(await own_runtime.get("split")).text for _ in range(40)}
    changed = [own_runtime.version("split", code, percentage=share) for share in (10.0, 90.0)]
    same = [type(new)(**{**_members(new), "id": old.id}) for new, old in zip(changed, versions, strict=True)]
    await own_runtime.serve("split", *same)

    assert 2 == len(before)
    assert before == {(await own_runtime.get("split")).text for _ in range(80)}
    assert 2 == (await own_runtime.stats())["starts"]


def _members(version: Any) -> dict[str, Any]:
    """Return the fields of a version."""
    return {name: getattr(version, name) for name in version.__struct_fields__}


@pytest.mark.parametrize("most_loaded", [5])
async def test_idle_scripts_make_room(folder: Any, most_loaded: int) -> None:
    """A process loads no more scripts than the limit; an unloaded script is loaded again at its next request."""
    async with Runtime(folder, max_loaded=most_loaded, limits=ONE_CELL) as own_runtime:
        for number in range(20):
            await own_runtime.upload(f"s{number}", HELLO, [text("TOKEN", f"value {number}")])
            assert f"value {number}" == (await own_runtime.get(f"s{number}")).text
        counted = await own_runtime.stats()

        assert (most_loaded, 20, 20 - most_loaded) == (counted["loaded"], counted["starts"], counted["retired"])
        assert "value 0" == (await own_runtime.get("s0")).text
        assert "value 19" == (await own_runtime.get("s19")).text
        assert 21 == (await own_runtime.stats())["starts"]


async def test_many_requests_to_a_cold_script_are_one_load(own_runtime: Runtime) -> None:
    """Requests to a script that is being loaded share one load."""
    await own_runtime.upload("cold", HELLO, [text("TOKEN", "x")])

    answers = await asyncio.gather(*(own_runtime.get("cold") for _ in range(30)))

    assert {"x"} == {answer.text for answer in answers}
    assert 1 == (await own_runtime.stats())["starts"]


@pytest.mark.thorough
async def test_many_cold_scripts_at_once_are_served(own_runtime: Runtime) -> None:
    """The socket is not overrun, and so much work is not mistaken for a hang."""
    for number in range(200):
        await own_runtime.put(
            f"s{number}", own_runtime.version(f"s{number}", HELLO, [text("TOKEN", f"value {number}")])
        )
    await own_runtime.source.wait_until_acknowledged(own_runtime.source.serial)

    answers = await asyncio.gather(*(own_runtime.get(f"s{number}") for number in range(200)))

    assert [f"value {number}" for number in range(200)] == [answer.text for answer in answers]
    assert 0 == own_runtime.delivery.supervisor.restarts


def delay_loads(own_runtime: Runtime, gate: asyncio.Event, asked: asyncio.Event) -> None:
    """Make the delivery process answer no load before the gate opens."""
    answer = own_runtime.delivery._control._handler

    async def late(request: Any, pid: int) -> Any:
        """Answer after the gate has opened."""
        if request.path.startswith("/loads/"):
            asked.set()
            await gate.wait()
        return await answer(request, pid)

    own_runtime.delivery._control._handler = late


async def test_a_load_outlives_the_client_that_caused_it(own_runtime: Runtime) -> None:
    """The others that wait for the same load get their answers."""
    gate, asked = asyncio.Event(), asyncio.Event()
    delay_loads(own_runtime, gate, asked)
    await own_runtime.upload("cold", HELLO, [text("TOKEN", "x")])
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{own_runtime.port}") as leaving:
        first = asyncio.create_task(leaving.get("/", headers={"nightsafe-script": "cold"}))
        await asked.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    others = [asyncio.create_task(own_runtime.get("cold")) for _ in range(5)]
    await own_runtime.stats()  # the requests that have been sent are accepted before this is answered
    gate.set()

    assert ["x"] * 5 == [(await other).text for other in others]


async def test_a_superseded_load_serves_the_newer_value(own_runtime: Runtime) -> None:
    """A request from before the change is answered, and a request from after it gets the newer value."""
    gate, asked = asyncio.Event(), asyncio.Event()
    delay_loads(own_runtime, gate, asked)
    await own_runtime.upload("cold", HELLO, [text("TOKEN", "old")])
    early = asyncio.create_task(own_runtime.get("cold"))
    await asked.wait()
    await own_runtime.upload("cold", HELLO, [text("TOKEN", "new")])
    late = asyncio.create_task(own_runtime.get("cold"))
    await own_runtime.stats()
    gate.set()

    assert (await early).text in {"old", "new"}
    assert "new" == (await late).text


async def test_a_broken_script_works_once_it_is_mended(own_runtime: Runtime) -> None:
    """A failed load is not kept, and a broken script is not tried at every request."""
    await own_runtime.upload("broken", "syntax error")
    for _ in range(20):
        assert 500 == (await own_runtime.get("broken")).status_code
    assert (await own_runtime.stats())["failures"] < 5
    await own_runtime.upload("broken", HELLO, [text("TOKEN", "mended")])

    assert "mended" == (await own_runtime.get("broken")).text


async def test_a_failed_load_is_tried_again(own_runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same load is tried again under another id, after a pause."""
    count = 0
    answer = own_runtime.delivery._control._handler

    async def flaky(request: Any, pid: int) -> Any:
        """Fail the first load."""
        nonlocal count
        if request.path.startswith("/loads/"):
            count += 1
            if count == 1:
                return 422, b""
        return await answer(request, pid)

    monkeypatch.setattr(own_runtime.delivery._control, "_handler", flaky)
    await own_runtime.upload("flaky", HELLO, [text("TOKEN", "x")])

    assert 500 == (await own_runtime.get("flaky")).status_code
    await until(lambda: own_runtime.get("flaky"), lambda answer: answer.status_code == 200)


async def test_a_late_push_undoes_nothing(own_runtime: Runtime) -> None:
    """A route with a lower epoch than the current one is ignored."""
    await own_runtime.upload("late", HELLO, [text("TOKEN", "old")])
    held = own_runtime.delivery._bundle_cache.get("late")
    assert held is not None
    await own_runtime.upload("late", HELLO, [text("TOKEN", "new")])
    await own_runtime.delivery._send_route(held)

    assert "new" == (await own_runtime.get("late")).text


async def until(ask: Callable[[], Any], enough: Callable[[Any], bool]) -> Any:
    """Ask until the answer is enough, for at most a minute."""
    async with asyncio.timeout(60):
        while not enough(answer := await ask()):  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.05)
    return answer


@pytest.mark.thorough
async def test_updates_leave_no_memory_behind(own_runtime: Runtime) -> None:
    """After 300 loaded versions of one script one isolate is left, not 300 of over 1.5 MB each."""
    child: Child = own_runtime.delivery.supervisor.current
    await own_runtime.upload("grows", HELLO, [text("TOKEN", "0")])
    await own_runtime.get("grows")
    before = child.resident_bytes()
    for number in range(300):
        await own_runtime.upload("grows", HELLO, [text("TOKEN", str(number))])
        assert str(number) == (await own_runtime.get("grows")).text

    assert 1 == (await own_runtime.stats())["loaded"]
    assert child.resident_bytes() - before < 150e6


@pytest.mark.thorough
async def test_isolates_of_departed_clients_are_retired(folder: Path) -> None:
    """Isolates whose requests were torn down do not wait for ever: only a few are kept."""
    code = """
      export default { async fetch(request, env) {
        if (new URL(request.url).pathname === "/slow") await scheduler.wait(60_000);
        return new Response(env.TOKEN);
      } };"""
    async with Runtime(folder, limits=ONE_CELL) as own_runtime:
        for number in range(68):
            await own_runtime.upload("left", code, [text("TOKEN", str(number))])
            assert str(number) == (await own_runtime.get("left")).text
            with suppress(httpx.TimeoutException):
                await own_runtime.client.get("/slow", headers={"nightsafe-script": "left"}, timeout=0.05)
        counted = await own_runtime.stats()

    assert 64 <= counted["loaded"] <= 66
    assert counted["retired"] >= 68 - 66
