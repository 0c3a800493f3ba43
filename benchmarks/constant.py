"""Measures the least cost of an answer: a plain ASGI app that sends a constant, on the same HTTP server as Nightsafe.

Run as `python -m benchmarks.constant PORT`, with the body and the headers as JSON on stdin. The server has the same
settings as in `nightsafe serve`.
"""

import base64
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[dict[str, Any], Any, Send], Awaitable[None]]


def constant(headers: list[tuple[bytes, bytes]], body: bytes) -> App:
    """Return the app."""

    async def app(scope: dict[str, Any], _: Any, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    return app


async def serve(port: int, app: App) -> None:
    """Serve until the process gets a signal to end."""
    server = Server(
        app,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=1024,
        log_enabled=False,
    )
    await server.serve()


def main() -> None:
    """Read the answer from stdin, and serve it."""
    answer = json.load(sys.stdin)
    headers = [(name.encode(), value.encode()) for name, value in answer["headers"]]
    uvloop.run(serve(int(sys.argv[1]), constant(headers, base64.b64decode(answer["body"]))))


if __name__ == "__main__":
    main()
