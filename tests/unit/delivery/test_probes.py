"""Probes of a delivery process: their answers and their limits."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from nightsafe.delivery.probes import Probes, Readiness
from nightsafe.delivery.workerd.control import unix_socket


@pytest.fixture
async def probes() -> AsyncIterator[tuple[Probes, Path]]:
    """Yield probes on a socket with a short path."""
    with TemporaryDirectory(prefix="ns-") as folder:
        path = Path(folder) / "probes.sock"
        made = Probes(unix_socket(path))
        await made.start()
        yield made, path
        await made.stop()
        assert not path.exists()


async def ask(path: Path, *requests: str) -> list[tuple[int, dict[str, object]]]:
    """Return the statuses and contents of requests that are sent one after the other on one connection."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    answers = []
    for request in requests:
        writer.write(f"{request} HTTP/1.1\r\nHost: probes\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in head[1:] if line)
        size = 0 if request.startswith("HEAD") else int(fields["Content-Length"])
        body = await reader.readexactly(size)
        answers.append((int(head[0].split(" ")[1]), json.loads(body) if body else {}))
    writer.close()
    await writer.wait_closed()
    return answers


async def test_a_process_is_ready_when_nothing_is_missing(probes: tuple[Probes, Path]) -> None:
    """The process is live at once, and ready when nothing is missing; an unreachable API is only reported."""
    made, path = probes
    live, starting = await ask(path, "GET /livez", "GET /readyz")
    made.readiness = lambda: Readiness(("workerd is not running",), "the API cannot be reached")
    (down,) = await ask(path, "GET /readyz")
    made.readiness = Readiness
    (ready,) = await ask(path, "GET /readyz?verbose")
    made.readiness = lambda: Readiness((), "the API cannot be reached")
    behind, head = await ask(path, "GET /readyz", "HEAD /readyz")

    assert (200, {"status": "ok"}) == live == ready
    assert (503, {"status": "unavailable", "missing": ["the process is starting"]}) == starting
    assert (503, ["workerd is not running"]) == (down[0], down[1]["missing"])
    assert (200, {"status": "ok", "behind": "the API cannot be reached"}) == behind
    assert (200, {}) == head


async def test_other_requests_are_refused(probes: tuple[Probes, Path]) -> None:
    """Another path gets 404, another method 405, and bytes that are not HTTP close the connection."""
    _, path = probes

    assert [404, 404, 405] == [status for status, _ in await ask(path, "GET /", "GET /livez/", "POST /readyz")]
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b"nonsense\r\n\r\n")
    assert b"" == await reader.read()
    writer.close()


async def test_probes_are_answered_again_after_too_many(probes: tuple[Probes, Path]) -> None:
    """The 65th connection is closed; once the others have closed, probes are answered again."""
    _, path = probes
    many = [await asyncio.open_unix_connection(str(path)) for _ in range(64)]
    reader, writer = await asyncio.open_unix_connection(str(path))

    assert b"" == await reader.read()
    for _, connection in [*many, (reader, writer)]:
        connection.close()
    while True:
        try:
            assert [(200, {"status": "ok"})] == await ask(path, "GET /livez")
            break
        except (OSError, asyncio.IncompleteReadError):
            await asyncio.sleep(0)
