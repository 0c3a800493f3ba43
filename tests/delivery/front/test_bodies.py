"""Answers that a script sends before it has read the request's body: every client receives them."""

import asyncio
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import httpx
import pytest
from tests.delivery.runtime import Runtime

from nightsafe.delivery.workerd.limits import Limits

EARLY = """
  const answers = {
    "/ignores": () => new Response("no", { status: 401 }),
    "/throws": () => { throw new Error("no"); },
    "/begins": async (request) => {
      const reader = request.body.getReader();
      const { value } = await reader.read();
      return new Response(`read ${value.length > 0}`);
    },
    "/cancels": async (request) => { await request.body.cancel(); return new Response("no"); },
    "/empty": () => new Response(null, { status: 204 }),
    "/counts": async (request) => {
      const { byteLength } = await request.arrayBuffer();
      return new Response(`${byteLength} ${request.headers.get("content-length")}`);
    },
  };
  export default { fetch: (request) => answers[new URL(request.url).pathname](request) };"""


async def send(runtime: Runtime, path: str, body: bytes) -> httpx.Response:
    """POST a body to the script."""
    return await runtime.client.post(path, content=body, headers={"host": f"early.localhost:{runtime.port}"})


@pytest.mark.parametrize("cells", [0, 2])
async def test_an_answer_before_the_end_of_the_body_arrives(folder: Path, cells: int) -> None:
    """The answer arrives during the upload, in a cell and in the main process; bodies keep their length."""
    answers: dict[str, tuple[int, str]] = {
        "/ignores": (401, "no"),
        "/throws": (500, ""),
        "/begins": (200, "read true"),
        "/cancels": (200, "no"),
        "/counts": (200, "SIZE SIZE"),
        "/empty": (204, ""),
    }
    async with Runtime(folder, limits=Limits(cells=cells, max_cells=cells)) as runtime:
        await runtime.upload("early", EARLY)
        for (path, (status, told)), size in product(answers.items(), (10, 60_000, 1_000_000)):
            expected = (path, status, told.replace("SIZE", str(size)))
            for _ in range(12):
                answer = await send(runtime, path, bytes(size))
                assert expected == (path, answer.status_code, "" if path == "/throws" else answer.text)


async def test_a_chunked_body_passes_while_it_arrives(runtime: Runtime) -> None:
    """A body without a length arrives part by part, and complete, while the answer goes out."""
    code = """
      export default { fetch(request) {
        const headers = { length: String(request.headers.get("content-length")) };
        return new Response(request.body, { headers });
      } };"""
    await runtime.upload("echo", code)

    async def parts() -> AsyncIterator[bytes]:
        """Yield a body in five parts, slowly."""
        for number in range(5):
            yield str(number).encode() * 1000
            await asyncio.sleep(0.05)

    host = {"host": f"echo.localhost:{runtime.port}"}
    answer = await runtime.client.post("/", content=parts(), headers=host)

    assert "".join(str(number) * 1000 for number in range(5)) == answer.text
    assert "null" == answer.headers["length"]


@pytest.mark.slow
async def test_a_client_that_stops_sending_is_answered(runtime: Runtime) -> None:
    """A client that stops sending gets the whole answer at once, and its connection closes in the end."""
    await runtime.upload("early", EARLY)
    reader, writer = await asyncio.open_connection("127.0.0.1", runtime.port)
    writer.write(b"POST /ignores HTTP/1.1\r\nHost: early.localhost\r\nContent-Length: 100000\r\n\r\nbegun")
    async with asyncio.timeout(4):
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(len(b"2\r\nno"))
    async with asyncio.timeout(20):
        rest = await reader.read()
    writer.close()

    assert head.startswith(b"HTTP/1.1 401 ")
    assert (b"2\r\nno", b"\r\n0\r\n\r\n") == (body, rest)
