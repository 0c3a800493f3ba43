"""A bare workerd with two scripts, one bound to the other, as a reference for Nightsafe's behaviour."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import msgspec
from tests.delivery.runtime import workerd

_CONFIG: Final = """using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "caller", worker = .caller), (name = "callee", worker = .callee)],
  sockets = [(name = "http", http = (), service = "caller")],
);
const caller :Workerd.Worker = (
  modules = [(name = "caller.js", esModule = embed "caller.js")],
  compatibilityDate = "%(caller)s",
  bindings = [
    (name = "S", service = (name = "callee", entrypoint = "Named", props = (json = %(props)s))),
    (name = "DEFAULT", service = "callee"),
  ],
);
const callee :Workerd.Worker = (
  modules = [(name = "callee.js", esModule = embed "callee.js")],
  compatibilityDate = "%(callee)s",
);
"""


@asynccontextmanager
async def bare(
    folder: Path, caller: str, callee: str, dates: tuple[str, str], props: object
) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the caller; its `env.S` is the callee's entrypoint `Named`, `env.DEFAULT` its default export.

    Args:
        folder: where the files of workerd are written.
        caller: the source of the caller's module.
        callee: the source of the callee's module.
        dates: the compatibility dates of caller and callee.
        props: the props of the binding `S`.
    """
    encoded = msgspec.json.encode(msgspec.json.encode(props).decode()).decode()
    (folder / "config.capnp").write_text(_CONFIG % {"caller": dates[0], "callee": dates[1], "props": encoded})
    (folder / "caller.js").write_text(caller)
    (folder / "callee.js").write_text(callee)
    listener = socket.create_server(("127.0.0.1", 0))
    arguments = ("serve", "--experimental", folder / "config.capnp", "--socket-fd", f"http={listener.fileno()}")
    process = await asyncio.create_subprocess_exec(
        workerd(), *arguments, pass_fds=(listener.fileno(),), env={}, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=30) as client:
            yield client
    finally:
        process.kill()
        await process.wait()
        listener.close()
