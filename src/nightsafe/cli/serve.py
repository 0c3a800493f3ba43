"""`nightsafe serve`: the API server of one safe."""

import asyncio
import contextlib
import re
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import click

from nightsafe.cli.data_directory import DataDirectory
from nightsafe.cli.options import data_option
from nightsafe.cli.tls import Tls, tls_of
from nightsafe.workers.door import Delivered
from nightsafe.workers.limits import Limits

_FILE = click.Path(dir_okay=False, path_type=Path)
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:[0-9]{1,5})?")
_STOP_SECONDS = 60


def _domain(value: str | None) -> str | None:
    """A host name, with or without a port."""
    if value and not _DOMAIN.fullmatch(value):
        raise click.BadParameter("give a host name, as workers.example or workers.example:8443")
    return value


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
    "--tls-cert",
    type=_FILE,
    default=None,
    envvar="NIGHTSAFE_TLS_CERT",
    show_envvar=True,
    help="PEM file of the server's certificate and those that lead to its issuer: speaks HTTPS.",
)
@click.option(
    "--tls-key",
    type=_FILE,
    default=None,
    envvar="NIGHTSAFE_TLS_KEY",
    show_envvar=True,
    help="PEM file of its private key.",
)
@click.option(
    "--tls-client-ca",
    type=_FILE,
    default=None,
    envvar="NIGHTSAFE_TLS_CLIENT_CA",
    show_envvar=True,
    help="PEM file of issuers: every client must show a certificate of one of them.",
)
@click.option(
    "--plain-http",
    is_flag=True,
    default=False,
    envvar="NIGHTSAFE_PLAIN_HTTP",
    show_envvar=True,
    help="Allow an address that other machines reach without TLS.",
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
@click.option(
    "--rate-limit",
    type=click.IntRange(min=0),
    default=0,
    envvar="NIGHTSAFE_RATE_LIMIT",
    show_envvar=True,
    show_default=True,
    help="Requests of one credential in a window; 0 for any number. Cloudflare has 1200.",
)
@click.option(
    "--rate-window",
    type=click.IntRange(min=1),
    default=300,
    envvar="NIGHTSAFE_RATE_WINDOW",
    show_envvar=True,
    show_default=True,
    help="Seconds of that window, and of the refusal after it.",
)
@click.option(
    "--auth-failures",
    type=click.IntRange(min=0),
    default=1000,
    envvar="NIGHTSAFE_AUTH_FAILURES",
    show_envvar=True,
    show_default=True,
    help="Failed authentications of one address in a minute; 0 for any number.",
)
@click.option(
    "--delivered",
    is_flag=True,
    default=False,
    envvar="NIGHTSAFE_DELIVERED",
    show_envvar=True,
    help="The scripts are delivered: refuse what cannot be served, also while no delivery process is there.",
)
@click.option(
    "--accept-undeliverable",
    is_flag=True,
    default=False,
    envvar="NIGHTSAFE_ACCEPT_UNDELIVERABLE",
    show_envvar=True,
    help="Keep versions that cannot be served; the last one that can be goes on being served.",
)
@click.option(
    "--workers-domain",
    default=None,
    callback=lambda _context, _option, value: _domain(value),
    envvar="NIGHTSAFE_WORKERS_DOMAIN",
    show_envvar=True,
    help="Where Workers are reached with TLS, as workers.example: links that wrangler prints lead there.",
)
@click.pass_obj
def command(  # noqa: PLR0913 - a server has many settings
    inherited: socket.socket | None,
    *,
    data: Path,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_client_ca: Path | None,
    max_variables: int,
    log_format: str,
    rate_limit: int,
    rate_window: int,
    auth_failures: int,
    plain_http: bool,
    delivered: bool,
    accept_undeliverable: bool,
    workers_domain: str | None,
) -> None:
    """Serve the API of a safe.

    Prints one line when it is ready. SIGTERM finishes the requests in flight, then exits with 0.
    The private ring is not needed and not read.
    """
    import uvloop  # noqa: PLC0415 - help needs no loop

    from nightsafe.cli.directory_lock import shared  # noqa: PLC0415 - the same
    from nightsafe.cli.finishing import used  # noqa: PLC0415 - the same
    from nightsafe.cli.logs import configure  # noqa: PLC0415 - the same
    from nightsafe.cli.open_files import allow_many  # noqa: PLC0415 - the same

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold plaintext
    configure(log_format)
    if inherited is None:  # or else the parent has done so
        allow_many()
    tls = tls_of(tls_cert, tls_key, tls_client_ca)
    if tls is None and not plain_http:
        from nightsafe.cli.listener import refuse_plain  # noqa: PLC0415 - help needs no server

        refuse_plain(host)
    limits = Limits(
        max_variables=max_variables, rate_limit=rate_limit, rate_seconds=rate_window, auth_failures=auth_failures
    )
    delivery = Delivered(delivered, accept_undeliverable, workers_domain or "")
    # Who started this process with a socket has dealt with what was left there, and this one may not read everything.
    with shared(data) if inherited else used(data):
        code = uvloop.run(_serve(DataDirectory(data), (host, port), tls, limits, delivery, inherited))
    sys.exit(code)


async def _serve(  # noqa: PLR0913, PLR0917 - a server has many settings
    directory: DataDirectory,
    where: tuple[str, int],
    tls: Tls | None,
    limits: Limits,
    delivered: Delivered,
    inherited: socket.socket | None,
) -> int:
    """Serve until told to stop, on a socket that was inherited or a new one; gives the exit code."""
    from nightsafe.api.app import App  # noqa: PLC0415 - help needs no server
    from nightsafe.api.throttle import throttled  # noqa: PLC0415 - the same
    from nightsafe.cli.listener import listen  # noqa: PLC0415 - the same

    store = directory.open_store()
    try:
        app = App(store, directory.safe(), limits, delivered)
        with inherited or listen(*where) as listener:
            data = None if inherited else directory.path
            return await _run(throttled(app, limits), listener, tls, data, app.end_waiting)
    finally:
        await store.close()


async def _run(
    app: object, listener: socket.socket, tls: Tls | None, data: Path | None, end_waiting: Callable[[], None]
) -> int:
    """Serve on a socket until told to stop, then let no request wait for news; gives the exit code.

    It is announced in a data directory, but not where another process does so for it.
    """
    from nightsafe.cli.listener import (  # noqa: PLC0415 - help needs no server
        ListeningServer,
        authority,
        reachable,
        until_ready,
    )
    from nightsafe.cli.local_server import announced  # noqa: PLC0415 - the same

    server = ListeningServer(app, listener, tls)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    serving = asyncio.ensure_future(server.serve())
    told = asyncio.ensure_future(stopping.wait())
    await until_ready(listener, serving)
    scheme = "https" if tls else "http"
    click.echo(f"listening on {scheme}://{authority(listener)}/client/v4")
    url = f"{scheme}://{reachable(listener)}/client/v4"
    with announced(data, url) if data else contextlib.nullcontext():
        await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not stopping.is_set():
        return 1
    listener.close()
    end_waiting()
    server.stop()  # type: ignore[no-untyped-call] # the library leaves it without annotations
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(serving, _STOP_SECONDS)
    return 0
