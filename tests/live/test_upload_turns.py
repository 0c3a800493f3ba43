"""Uploads that wait for each other on real connections: none keeps the memory from others, or waits for ever."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.live.process.test_server_life import serving
from tests.unit.api.tools.driver import Api, File, form, form_type, script_at
from tests.unit.api.tools.uploads import metadata

from nightsafe.services.limits import Limits

_BODY = form(metadata({"main_module": "worker.js"}), File("worker.js", b"//" + b"x" * (6 << 20)))
_MEMORY = 16 << 20
_SECONDS = 60

Connect = Callable[[str], Awaitable["Upload"]]


class Upload:
    """An upload on a connection of its own, whose head has been sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def answer(self) -> bytes:
        """Return the head of the answer."""
        return await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), _SECONDS)


def with_connections(folder: Path, seconds: float, play: Callable[[Connect], Awaitable[None]]) -> None:
    """Run `play` on a server whose memory does not fit two uploads, which wait for so many seconds."""
    with Api(folder, Limits(upload_memory=_MEMORY, upload_seconds=seconds)) as api:

        async def run() -> None:
            """Serve, and run `play`."""
            async with serving(api.app) as (_, client):
                uploads: list[Upload] = []

                async def connect(script: str) -> Upload:
                    """Begin an upload."""
                    upload = Upload(*await asyncio.open_connection("127.0.0.1", client().port))
                    uploads.append(upload)
                    name, value = form_type()
                    head = f"PUT {script_at(script)} HTTP/1.1\r\nHost: safe\r\nContent-Length: {len(_BODY)}\r\n"
                    rest = b"%b: %b\r\n%b: %b\r\n\r\n" % (*api.bearer, name, value)
                    upload.writer.write(head.encode() + rest)
                    await upload.writer.drain()
                    return upload

                await play(connect)
                for upload in uploads:
                    upload.writer.close()

        api.run(run())


async def dribble(upload: Upload, enough: asyncio.Event) -> None:
    """Send a body far more slowly than any real connection until `enough` is set; then send the rest."""
    sent = 0
    while not enough.is_set():
        upload.writer.write(_BODY[sent : sent + 1])
        sent += 1
        await asyncio.sleep(0.02)
    upload.writer.write(_BODY[sent:])


def test_a_slow_upload_gives_way(tmp_path: Path) -> None:
    """The slow upload is told to come again once another waits, which is then let in and kept."""

    async def play(connect: Connect) -> None:
        """Begin a slow upload, and a quick one after it."""
        slow = await connect("slow")
        enough = asyncio.Event()
        dribbling = asyncio.ensure_future(dribble(slow, enough))
        quick = await connect("quick")
        quick.writer.write(_BODY)
        assert (await quick.answer()).startswith(b"HTTP/1.1 200")
        enough.set()
        refused = await slow.answer()
        await dribbling
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"\r\nretry-after: " in refused

    with_connections(tmp_path, 3.0, play)


def test_an_upload_that_waits_in_vain_gets_a_503(tmp_path: Path) -> None:
    """The waiting upload gets a 503 with Retry-After; the one that is being read is kept."""

    async def play(connect: Connect) -> None:
        """Begin an upload without its last byte, and another one after it."""
        first = await connect("first")
        first.writer.write(_BODY[:-1])
        await first.writer.drain()
        second = await connect("second")
        second.writer.write(_BODY)
        refused = await second.answer()
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"\r\nretry-after: " in refused
        first.writer.write(_BODY[-1:])
        assert (await first.answer()).startswith(b"HTTP/1.1 200")

    with_connections(tmp_path, 0.3, play)
