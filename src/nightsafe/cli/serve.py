"""`nightsafe serve`: the API server of one safe."""

import asyncio
import contextlib
import resource
import signal
import socket
import sys
from pathlib import Path

import click

from nightsafe.cli.data_directory import DataDirectory
from nightsafe.cli.options import data_option
from nightsafe.workers.limits import Limits

_STOP_SECONDS = 60


@click.command("serve")
@data_option
@click.option("--host", default="127.0.0.1", envvar="NIGHTSAFE_HOST", show_envvar=True, show_default=True)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8787,
    envvar="NIGHTSAFE_PORT",
    show_envvar=True,
    show_default=True,
    help="0 takes a free one.",
)
@click.option(
    "--max-variables",
    type=click.IntRange(min=1),
    default=128,
    envvar="NIGHTSAFE_MAX_VARIABLES",
    show_envvar=True,
    show_default=True,
    help="Secrets, text and JSON variables that one script may have.",
)
@click.option(
    "--log-format",
    type=click.Choice(["json", "text"]),
    default="json",
    envvar="NIGHTSAFE_LOG_FORMAT",
    show_envvar=True,
    show_default=True,
    help="How the log is written to stderr.",
)
def command(data: Path, host: str, port: int, max_variables: int, log_format: str) -> None:
    """Serve the API of a safe.

    Prints one line when it is ready. SIGTERM finishes the requests in flight, then exits with 0.
    The private ring is not needed and not read.
    """
    import uvloop  # noqa: PLC0415 - help needs no loop

    from nightsafe.cli.logs import configure  # noqa: PLC0415 - the same

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold plaintext
    configure(log_format)
    sys.exit(uvloop.run(_serve(DataDirectory(data), host, port, Limits(max_variables=max_variables))))


async def _serve(directory: DataDirectory, host: str, port: int, limits: Limits) -> int:
    """Serve until told to stop; gives the exit code."""
    from nightsafe.api.app import App  # noqa: PLC0415 - help needs no server
    from nightsafe.cli.listener import listen  # noqa: PLC0415 - the same

    store = directory.open_store()
    try:
        app = App(store, directory.safe(), limits)
        with listen(host, port) as listener:
            return await _run(app, listener)
    finally:
        await store.close()


async def _run(app: object, listener: socket.socket) -> int:
    """Serve on a socket until told to stop; gives the exit code."""
    from nightsafe.cli.listener import ListeningServer, authority, until_ready  # noqa: PLC0415 - help needs no server

    server = ListeningServer(app, listener)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    serving = asyncio.ensure_future(server.serve())
    told = asyncio.ensure_future(stopping.wait())
    await until_ready(listener, serving)
    click.echo(f"listening on http://{authority(listener)}/client/v4")
    await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not stopping.is_set():
        return 1
    listener.close()
    server.stop()  # type: ignore[no-untyped-call] # the library leaves it without annotations
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(serving, _STOP_SECONDS)
    return 0
