"""Log events about what scripts print, throw and may not reach: as data, and no more than the operator asked for."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from tests.delivery.runtime import Runtime, text

from nightsafe.delivery.workerd.limits import Limits

TOKEN = "hushed-value-4711"
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
    """Yield the log entries that are captured during the test."""
    with capture_logs() as entries:
        yield entries


@pytest_asyncio.fixture(loop_scope="module")
async def verbose(folder: Path, log: Log) -> AsyncIterator[Runtime]:
    """Yield a delivery process whose operator wants to see script output."""
    del log
    async with Runtime(folder, worker_output=True) as runtime:
        await runtime.upload("talks", SCRIPT, [text("TOKEN", TOKEN)])
        yield runtime


@pytest_asyncio.fixture(loop_scope="module")
async def quiet(folder: Path, log: Log) -> AsyncIterator[Runtime]:
    """Yield a delivery process whose operator does not want to see script output."""
    del log
    async with Runtime(folder) as runtime:
        await runtime.upload("talks", SCRIPT, [text("TOKEN", TOKEN)])
        yield runtime


async def logged(log: Log, event: str, holds: Callable[[Log], object] = bool) -> Log:
    """Return the log entries of one kind, once the expected ones are there."""
    async with asyncio.timeout(60):
        while not holds(found := [entry for entry in log if entry["event"] == event]):  # noqa: ASYNC110 - nothing signals an entry
            await asyncio.sleep(0.01)
    return found


async def test_script_output_is_logged_as_data(verbose: Runtime, log: Log) -> None:
    """Each line is one event with script, version, request and time; a forged event stays inside the message."""
    ray = (await verbose.get("talks", "/prints")).text
    lines = await logged(log, "worker.output", lambda found: len(found) == 3)

    assert ["info", "error", "debug"] == [line["log_level"] for line in lines]
    forged = f'{{"event":"workerd.ended","level":"warning"}} {{"a":[1,"{TOKEN}"]}} '
    assert [True, False, False] == [line["message"].startswith(forged) for line in lines]
    assert ["two\nlines", "late"] == [line["message"] for line in lines[1:]]
    about = ("talks", "00000000-0000-4000-8000-000000000001", ray)
    assert {about} == {(line["script"], line["version"], line["request"]) for line in lines}
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["at"]) for line in lines)
    assert not [entry for entry in log if entry["event"] == "workerd.ended"]


async def test_output_is_not_logged_by_default(quiet: Runtime, log: Log) -> None:
    """Neither output, nor exception messages, nor a forged stack is logged."""
    for path in ("/prints", "/throws", "/later", "/forges"):
        await quiet.get("talks", path)
    await logged(log, "script.threw", lambda found: len(found) == 3)

    assert not [entry for entry in log if entry["event"] == "worker.output"]
    assert TOKEN not in str(log)


async def test_an_exception_is_logged_with_its_place(quiet: Runtime, log: Log) -> None:
    """The event has script, version, request and stack, also for work after the answer, but not the message."""
    await quiet.get("talks", "/throws")
    ray = (await quiet.get("talks", "/later")).text
    first, later = await logged(log, "script.threw", lambda found: len(found) == 2)

    assert ("TypeError", "at index.js:2:29\nat index.js:5:38") == (
        first["kind"],
        first["stack"],
    )
    assert ("RangeError", ray) == (later["kind"], later["request"])
    assert re.fullmatch(r"at index\.js:6:\d+", later["stack"])
    assert {("talks", "error")} == {(entry["script"], entry["log_level"]) for entry in (first, later)}
    assert not [entry for entry in (first, later) if "message" in entry]


async def test_an_exception_s_message_is_logged_on_request(verbose: Runtime, log: Log) -> None:
    """The event has the message; of a stack that the script wrote, only possible stack frames are kept."""
    await verbose.get("talks", "/throws")
    await verbose.get("talks", "/forges")
    first, forged = await logged(log, "script.threw", lambda found: len(found) == 2)

    assert f"no {TOKEN}" == first["message"]
    assert ("Error", "at g (x.js:1:2)", TOKEN) == (forged["kind"], forged["stack"], forged["message"])


async def test_a_script_is_traced_after_its_first_exception(quiet: Runtime, log: Log) -> None:
    """The first exception is logged by kind; from then on the script runs where exceptions are traced."""
    for _ in range(250):
        await quiet.get("talks")
    await quiet.get("talks", "/throws")
    (untraced,) = await logged(log, "script.threw")
    assert ("TypeError", "") == (untraced["kind"], untraced["stack"])
    assert untraced["request"].endswith("-LOCAL")

    await quiet.get("talks", "/throws")
    found = await logged(log, "script.threw", lambda found: len(found) == 2)
    assert found[1]["stack"].startswith("at index.js:2:29")


async def test_exceptions_are_traced_without_cells(folder: Path, log: Log) -> None:
    """With no process but the main one, stacks are logged there."""
    async with Runtime(folder, limits=Limits(cells=0)) as runtime:
        await runtime.upload("talks", SCRIPT, [text("TOKEN", TOKEN)])
        await runtime.get("talks", "/throws")
        (threw,) = await logged(log, "script.threw")
    assert threw["stack"].startswith("at index.js:2:29")


async def test_excessive_output_is_dropped_and_counted(verbose: Runtime, log: Log) -> None:
    """A script that prints without end delays no other script, and the log says how much was dropped."""
    code = """export default { fetch() {
      for (let line = 0; line < 20_000; line++) console.log("x".repeat(1000));
      return new Response("printed");
    } };"""
    await verbose.upload("prints", code)
    loud = [asyncio.create_task(verbose.get("prints")) for _ in range(3)]
    while not all(request.done() for request in loud):
        assert (await verbose.get("talks")).text.endswith("-LOCAL")
    assert ["printed"] * 3 == [(await request).text for request in loud]
    await logged(log, "worker.output_dropped")

    assert len([entry for entry in log if entry["event"] == "worker.output"]) <= 300


OUT = """export default { async fetch(request) {
  try { return new Response((await fetch(request.headers.get("ask"))).status); }
  catch (error) { return new Response(error.message); }
} };"""


@pytest.mark.parametrize("host", ["127.0.0.1:9", "10.1.2.3", "[::1]:81", "169.254.169.254", "localhost:9"])
async def test_a_refused_address_is_reported(quiet: Runtime, log: Log, host: str) -> None:
    """The script's error names the address and the reason, and the log names the script."""
    await quiet.upload("asks", OUT)
    answer = await quiet.get("asks", ask=f"http://{host}/path?q=planted")
    (refused,) = await logged(log, "script.refused_outbound")

    why = "private addresses and those of this machine are refused unless --reach names them"
    assert f"{host} cannot be reached: {why}" == answer.text
    assert "asks" == refused["script"]
    assert "host" not in refused
    assert "--reach" in refused["reason"]
    assert "planted" not in str(log)


async def test_a_name_that_leads_nowhere_is_reported(quiet: Runtime, log: Log) -> None:
    """The script's error names the host and what may be wrong with it."""
    await quiet.upload("asks", OUT)
    answer = await quiet.get("asks", ask="http://nowhere.invalid/")
    await logged(log, "script.refused_outbound")

    assert answer.text.startswith("nowhere.invalid cannot be reached: its name leads to no public address: private")


async def test_an_unreachable_private_host_is_reported(folder: Path, log: Log) -> None:
    """An unreachable host is reported in the same way when private networks are open."""
    async with Runtime(folder, reach_private=True, worker_output=True) as runtime:
        await runtime.upload("asks", OUT)
        answer = await runtime.get("asks", ask="http://nowhere.invalid/")
        (refused,) = await logged(log, "script.refused_outbound")

    assert "nowhere.invalid cannot be reached: its name leads nowhere, or nothing answers there" == answer.text
    assert ("asks", "nowhere.invalid") == (refused["script"], refused["host"])
    assert answer.text.endswith(refused["reason"])
    assert "request" not in refused


@pytest.mark.parametrize("output", [True, False])
async def test_an_exception_at_the_start_is_logged(folder: Path, log: Log, *, output: bool) -> None:
    """The log has the place, and the message only if the operator wants to see script output."""
    async with Runtime(folder, worker_output=output) as runtime:
        await runtime.upload("needs", f"throw new Error('NEED is not set: {TOKEN}'); export default {{}};")
        answer = await runtime.get("needs")
        (failed,) = await logged(log, "script.not_started")

    assert 500 == answer.status_code
    assert output == ("NEED is not set" in failed["reason"])
    assert output == (TOKEN in str(log))
    assert "index.js:1:" in failed["reason"]


@pytest.mark.parametrize("cells", [0, 2])
async def test_an_upstream_that_hangs_up_is_an_error(folder: Path, log: Log, cells: int) -> None:
    """The script can catch the error; otherwise the client gets an answer, in each process that can run it."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Close the connection without an answer."""
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    limits = Limits(cells=cells, max_cells=cells)
    async with server, Runtime(folder, reach_private=True, limits=limits) as runtime:
        await runtime.upload("asks", "export default { fetch: (request) => fetch(request.headers.get('ask')) };")
        answers = [await runtime.get("asks", ask=upstream) for _ in range(3)]
        await logged(log, "script.threw", lambda found: len(found) == 3)

    assert [(500, "Internal Server Error\n")] * 3 == [(answer.status_code, answer.text) for answer in answers]


async def test_outbound_traffic_passes_unchanged(folder: Path) -> None:
    """Outbound bodies, redirects, WebSockets and TCP sockets pass unchanged."""
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
    async with Runtime(folder, reach_private=True) as runtime:
        await runtime.upload("server", server)
        await runtime.upload("client", client)
        answer = await runtime.get("client", port=str(runtime.port))

    assert ["/ 3000000", True, 302, "heard this", "HTTP/1.1 200 OK"] == answer.json()
