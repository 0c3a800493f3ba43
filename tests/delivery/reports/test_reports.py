"""What scripts print and throw, and where they may not reach: events of the log, as data, and no more than asked."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.delivery.scene import Scene, text

from nightsafe.delivery.workerd.limits import Limits

HUSH = "hushed-value-4711"
SCRIPT = """
function inner(env) { throw new TypeError(`no ${env.TOKEN}`); }
export default { async fetch(request, env, ctx) {
  const { pathname } = new URL(request.url);
  if (pathname === "/throws") return inner(env);
  if (pathname === "/later") ctx.waitUntil(scheduler.wait(10).then(() => { throw new RangeError(env.TOKEN); }));
  if (pathname === "/prints") {
    console.log('{"event":"workerd.ended","level":"warning"}', { a: [1, env.TOKEN] }, undefined);
    console.error("two\\nlines");
    ctx.waitUntil(scheduler.wait(10).then(() => console.debug("late")));
  }
  if (pathname === "/forges") {
    const error = new Error(env.TOKEN);
    error.name = `planted ${env.TOKEN}`;
    error.stack = `Error: ${env.TOKEN}\\n    at f (${env.TOKEN})\\n{"event":"workerd.ended"}\\n    at g (x.js:1:2)`;
    throw error;
  }
  return new Response(request.headers.get("cf-ray"));
} };"""

Log = list[Any]


@pytest.fixture
def log() -> Iterator[Log]:
    """What is logged meanwhile."""
    with capture_logs() as entries:
        yield entries


@pytest.fixture
async def telling(folder: Path, log: Log) -> AsyncIterator[Scene]:
    """A delivery side whose operator wants to see what scripts print."""
    del log
    async with Scene(folder, worker_output=True) as scene:
        await scene.upload("talks", SCRIPT, [text("TOKEN", HUSH)])
        yield scene


@pytest.fixture
async def silent(folder: Path, log: Log) -> AsyncIterator[Scene]:
    """One whose operator does not."""
    del log
    async with Scene(folder) as scene:
        await scene.upload("talks", SCRIPT, [text("TOKEN", HUSH)])
        yield scene


async def logged(log: Log, event: str, holds: Callable[[Log], object] = bool) -> Log:
    """What is logged of a kind, once there is what should be."""
    async with asyncio.timeout(60):
        while not holds(found := [one for one in log if one["event"] == event]):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
    return found


async def test_what_a_script_prints_is_data(telling: Scene, log: Log) -> None:
    """One event a line, with script, version, request and time; what it forges stands in the message."""
    ray = (await telling.get("talks", "/prints")).text
    lines = await logged(log, "worker.output", lambda found: len(found) == 3)

    assert ["info", "error", "debug"] == [line["log_level"] for line in lines]
    forged = f'{{"event":"workerd.ended","level":"warning"}} {{"a":[1,"{HUSH}"]}} '
    assert [True, False, False] == [line["message"].startswith(forged) for line in lines]
    assert ["two\nlines", "late"] == [line["message"] for line in lines[1:]]
    about = ("talks", "00000000-0000-4000-8000-000000000001", ray)
    assert {about} == {(line["script"], line["version"], line["request"]) for line in lines}
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["at"]) for line in lines)
    assert not [one for one in log if one["event"] == "workerd.ended"]


async def test_what_was_not_asked_for(silent: Scene, log: Log) -> None:
    """Is nowhere: neither what is printed nor the words of what is thrown, nor what a script makes of its stack."""
    for path in ("/prints", "/throws", "/later", "/forges"):
        await silent.get("talks", path)
    await logged(log, "script.threw", lambda found: len(found) == 3)

    assert not [one for one in log if one["event"] == "worker.output"]
    assert HUSH not in str(log)


async def test_where_a_script_throws(silent: Scene, log: Log) -> None:
    """Is logged with script, version and request, also of what goes on after the answer; without its words."""
    await silent.get("talks", "/throws")
    ray = (await silent.get("talks", "/later")).text
    first, later = await logged(log, "script.threw", lambda found: len(found) == 2)

    assert ("TypeError", "at index.js:2:29\nat index.js:5:38") == (
        first["kind"],
        first["stack"],
    )
    assert ("RangeError", ray) == (later["kind"], later["request"])
    assert re.fullmatch(r"at index\.js:6:\d+", later["stack"])
    assert {("talks", "error")} == {(one["script"], one["log_level"]) for one in (first, later)}
    assert not [one for one in (first, later) if "message" in one]


async def test_its_words_when_they_are_wanted(telling: Scene, log: Log) -> None:
    """Stand in the event; a stack that the script has written is taken for what can be one."""
    await telling.get("talks", "/throws")
    await telling.get("talks", "/forges")
    first, forged = await logged(log, "script.threw", lambda found: len(found) == 2)

    assert f"no {HUSH}" == first["message"]
    assert ("Error", "at g (x.js:1:2)", HUSH) == (forged["kind"], forged["stack"], forged["message"])


async def test_one_that_throws_where_it_is_not_traced(silent: Scene, log: Log) -> None:
    """Is logged by kind, and runs where it is traced from then on: its next exception has a stack."""
    for _ in range(250):
        await silent.get("talks")
    await silent.get("talks", "/throws")
    (untraced,) = await logged(log, "script.threw")
    assert ("TypeError", "") == (untraced["kind"], untraced["stack"])
    assert untraced["request"].endswith("-LOCAL")

    await silent.get("talks", "/throws")
    found = await logged(log, "script.threw", lambda found: len(found) == 2)
    assert found[1]["stack"].startswith("at index.js:2:29")


async def test_one_process_alone_traces(folder: Path, log: Log) -> None:
    """Without processes beside the main one, stacks are seen there."""
    async with Scene(folder, limits=Limits(cells=0)) as scene:
        await scene.upload("talks", SCRIPT, [text("TOKEN", HUSH)])
        await scene.get("talks", "/throws")
        (threw,) = await logged(log, "script.threw")
    assert threw["stack"].startswith("at index.js:2:29")


async def test_a_script_that_prints_without_end(telling: Scene, log: Log) -> None:
    """Holds up nobody else, and how much of it was left out is said."""
    code = """export default { fetch() {
      for (let line = 0; line < 20_000; line++) console.log("x".repeat(1000));
      return new Response("printed");
    } };"""
    await telling.upload("prints", code)
    loud = [asyncio.create_task(telling.get("prints")) for _ in range(3)]
    while not all(one.done() for one in loud):
        assert (await telling.get("talks")).text.endswith("-LOCAL")
    assert ["printed"] * 3 == [(await one).text for one in loud]
    await logged(log, "worker.output_dropped")

    assert len([one for one in log if one["event"] == "worker.output"]) <= 300


OUT = """export default { async fetch(request) {
  try { return new Response((await fetch(request.headers.get("ask"))).status); }
  catch (error) { return new Response(error.message); }
} };"""


@pytest.mark.parametrize("host", ["127.0.0.1:9", "10.1.2.3", "[::1]:81", "169.254.169.254", "localhost:9"])
async def test_an_address_that_is_refused(silent: Scene, log: Log, host: str) -> None:
    """Is named to the script, with why; and in the log, with the script."""
    await silent.upload("asks", OUT)
    answer = await silent.get("asks", ask=f"http://{host}/path?q=planted")
    (refused,) = await logged(log, "script.refused_outbound")

    why = "private addresses and those of this machine are refused unless --reach names them"
    assert f"{host} cannot be reached: {why}" == answer.text
    assert "asks" == refused["script"]
    assert "host" not in refused
    assert "--reach" in refused["reason"]
    assert "planted" not in str(log)


async def test_a_name_that_leads_nowhere(silent: Scene, log: Log) -> None:
    """Is named as well, and what may be wrong with it."""
    await silent.upload("asks", OUT)
    answer = await silent.get("asks", ask="http://nowhere.invalid/")
    await logged(log, "script.refused_outbound")

    assert answer.text.startswith("nowhere.invalid cannot be reached: its name leads to no public address: private")


async def test_what_cannot_be_reached_of_private_networks(folder: Path, log: Log) -> None:
    """Is named in the same way where they are open."""
    async with Scene(folder, reach_private=True, worker_output=True) as scene:
        await scene.upload("asks", OUT)
        answer = await scene.get("asks", ask="http://nowhere.invalid/")
        (refused,) = await logged(log, "script.refused_outbound")

    assert "nowhere.invalid cannot be reached: its name leads nowhere, or nothing answers there" == answer.text
    assert ("asks", "nowhere.invalid") == (refused["script"], refused["host"])
    assert answer.text.endswith(refused["reason"])
    assert "request" not in refused


@pytest.mark.parametrize("output", [True, False])
async def test_what_a_script_throws_as_it_starts(folder: Path, log: Log, *, output: bool) -> None:
    """Is in the log with where it was, and in its own words for an operator who wants to see what scripts print."""
    async with Scene(folder, worker_output=output) as scene:
        await scene.upload("needs", f"throw new Error('NEED is not set: {HUSH}'); export default {{}};")
        answer = await scene.get("needs")
        (failed,) = await logged(log, "script.not_started")

    assert 500 == answer.status_code
    assert output == ("NEED is not set" in failed["reason"])
    assert output == (HUSH in str(log))
    assert "index.js:1:" in failed["reason"]


@pytest.mark.parametrize("cells", [0, 2])
async def test_an_upstream_that_hangs_up(folder: Path, log: Log, cells: int) -> None:
    """Is an error that the script may catch; when it does not, the client is answered, wherever the script runs."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer nothing."""
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    limits = Limits(cells=cells, most_cells=cells)
    async with server, Scene(folder, reach_private=True, limits=limits) as scene:
        await scene.upload("asks", "export default { fetch: (request) => fetch(request.headers.get('ask')) };")
        answers = [await scene.get("asks", ask=upstream) for _ in range(3)]
        await logged(log, "script.threw", lambda found: len(found) == 3)

    assert [(500, "Internal Server Error\n")] * 3 == [(answer.status_code, answer.text) for answer in answers]


async def test_whatever_goes_out_goes_out_as_it_is(folder: Path) -> None:
    """Bodies, redirects, WebSockets and sockets pass by."""
    server = """export default { async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/from") return Response.redirect(new URL("/to", request.url), 302);
      if (request.headers.get("upgrade") === "websocket") {
        const [client, own] = Object.values(new WebSocketPair());
        own.accept();
        own.addEventListener("message", ({ data }) => own.send(`heard ${data}`));
        own.addEventListener("close", () => own.close());
        return new Response(null, { status: 101, webSocket: client });
      }
      const body = await request.arrayBuffer();
      return new Response(`${pathname} ${body.byteLength}`, { headers: { "content-encoding": "identity" } });
    } };"""
    client = """import { connect } from "cloudflare:sockets";
    const talk = (socket) => new Promise((resolve) => {
      socket.accept();
      socket.addEventListener("message", ({ data }) => (resolve(data), socket.close()));
      socket.send("this");
    });
    const read = async (socket, host) => {
      const writer = socket.writable.getWriter();
      const lines = ["GET /raw HTTP/1.1", `Host: ${host}`, "Connection: close", "", ""];
      await writer.write(new TextEncoder().encode(lines.join("\\r\\n")));
      return (await new Response(socket.readable).text()).split("\\r\\n")[0];
    };
    export default { async fetch(request) {
      const port = request.headers.get("port");
      const url = `http://127.0.0.1:${port}`, headers = { "nightsafe-script": "server" };
      const body = new Uint8Array(3_000_000);
      const followed = await fetch(`${url}/from`, { headers });
      const stayed = await fetch(`${url}/from`, { headers, redirect: "manual" });
      const upgraded = await fetch(url, { headers: { ...headers, upgrade: "websocket" } });
      return Response.json([
        await (await fetch(url, { method: "POST", headers, body })).text(),
        followed.redirected, stayed.status,
        await talk(upgraded.webSocket),
        await read(connect(`127.0.0.1:${port}`), "server.localhost"),
      ]);
    } };"""
    async with Scene(folder, reach_private=True) as scene:
        await scene.upload("server", server)
        await scene.upload("client", client)
        answer = await scene.get("client", port=str(scene.port))

    assert ["/ 3000000", True, 302, "heard this", "HTTP/1.1 200 OK"] == answer.json()
