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
from nightsafe.errors import Code, NightsafeError
from nightsafe.workers.limits import Limits

_STOP_SECONDS = 60
_START_SECONDS = 10


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

    store = directory.open_store()
    try:
        return await _listen(App(store, directory.safe(), limits), host, _free_port(host, port))
    finally:
        await store.close()


async def _listen(app: object, host: str, port: int) -> int:
    """Serve on a port until told to stop; gives the exit code."""
    from granian.constants import HTTPModes, Interfaces  # noqa: PLC0415 - help needs no server
    from granian.server.embed import Server  # noqa: PLC0415 - the same

    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=1024,
        log_enabled=False,
    )
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    serving = asyncio.ensure_future(server.serve())
    told = asyncio.ensure_future(stopping.wait())
    await _until_ready(host, port, serving)
    click.echo(f"listening on http://{_authority(host, port)}/client/v4")
    await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not stopping.is_set():
        return 1
    server.stop()  # type: ignore[no-untyped-call] # the library leaves it without annotations
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(serving, _STOP_SECONDS)
    return 0


def _free_port(host: str, port: int) -> int:
    """The port to listen on. The server shares ports with others by SO_REUSEPORT, so a taken one is refused here.

    Raises:
        NightsafeError: INVALID, when it is taken or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise NightsafeError(
                Code.INVALID, f"cannot listen on {_authority(host, port)}: {error.strerror}; name another --port"
            ) from None
        free: int = probe.getsockname()[1]
        return free


async def _until_ready(host: str, port: int, serving: "asyncio.Future[None]") -> None:
    """Wait until the server takes connections.

    Raises:
        NightsafeError: UNAVAILABLE, when it does not start.
    """
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - asked for by --host
    for _ in range(_START_SECONDS * 100):
        if serving.done():
            break
        try:
            _, writer = await asyncio.open_connection(reachable, port)
        except OSError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        return
    raise NightsafeError(Code.UNAVAILABLE, f"the server did not start on {_authority(host, port)}")


def _authority(host: str, port: int) -> str:
    """Host and port as a URL has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
