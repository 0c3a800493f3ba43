"""`nightsafe serve`: the API server of one safe."""

import asyncio
import contextlib
import gc
import os
import re
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nightsafe.cli.data_directory.directory import PATIENCE, DataDirectory
from nightsafe.cli.server.proxies import proxy_options
from nightsafe.cli.settings.options import FILE, data_option, log_format_option, option, options_of
from nightsafe.cli.tls.files import TlsFiles, check_tls_files
from nightsafe.services.delivery.admission import DeliveryOptions
from nightsafe.services.limits import Limits

if TYPE_CHECKING:
    from nightsafe.api.http.entrance import Application
    from nightsafe.cli.process.stdio import OutputFiles
    from nightsafe.cli.server.helpers import Helpers
    from nightsafe.cli.server.proxies import Networks
    from nightsafe.cli.server.workers.inherited import Inherited
    from nightsafe.cli.tls.reload_resources import ReloadResources

    Hangups = list[Callable[[], None]]

MOST_WORKERS = 16
"""The most API processes of one server."""

_MEGABYTE = 1 << 20
_OVERWRITE_FREED = "junk:free"
"""Makes the HTTP server's allocator overwrite freed memory, which has held bodies of requests."""

_DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:[0-9]{1,5})?")


def _check_witnesses(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Check the witnesses."""
    if not values:
        return ()
    from nightsafe.cli.server.witnesses import check_witnesses

    return check_witnesses(context, parameter, values)


def _domain(value: str | None) -> str | None:
    """Check a host name, with or without a port."""
    if value and not _DOMAIN.fullmatch(value):
        raise click.BadParameter("give a host name, for example workers.example or workers.example:8443")
    return value


def _check_sinks(context: click.Context, parameter: click.Parameter, urls: tuple[str, ...]) -> tuple[str, ...]:
    """Check the URLs of audit sinks."""
    from nightsafe.cli.server.audit_sinks import check_urls

    return check_urls(context, parameter, urls) if urls else ()


@click.command("serve")
@data_option
@option(
    "--store-patience",
    "Seconds for which requests wait for a primary of the PostgreSQL database.",
    type=click.FloatRange(0, 600),
    default=PATIENCE,
)
@option("--host", "Address or host name to listen on.", default="127.0.0.1")
@option("--port", "Port to listen on; 0 takes a free port.", type=click.IntRange(0, 65535), default=8787)
@option("--tls-cert", "PEM file of the server's certificate chain; the server then speaks HTTPS.", type=FILE)
@option("--tls-key", "PEM file of that certificate's private key.", type=FILE)
@option("--tls-client-ca", "PEM file of CAs; every client must then show a certificate from one of them.", type=FILE)
@option("--plain-http", "Allow listening without TLS on an address that other machines reach.", is_flag=True)
@option(
    "--workers",
    "Number of API processes on the same port and database.",
    type=click.IntRange(1, MOST_WORKERS),
    default=1,
)
@option("--keep-alive", "Minimum seconds to keep an idle connection.", type=click.IntRange(min=1), default=120)
@option(
    "--max-variables",
    "Maximum number of secrets, text and JSON variables of one script.",
    type=click.IntRange(min=1),
    default=128,
)
@option(
    "--upload-memory",
    "Megabytes of memory for all large uploads together; further uploads wait.",
    type=click.IntRange(min=16),
    default=256,
)
@log_format_option
@option(
    "--rate-limit",
    "Requests per credential and window; 0 for no limit. Cloudflare allows 1200.",
    type=click.IntRange(min=0),
    default=0,
)
@option(
    "--rate-window",
    "Seconds of the --rate-limit window, and of the refusal after it.",
    type=click.IntRange(min=1),
    default=300,
)
@option(
    "--auth-failures",
    "Failed authentications per address and minute; 0 for no limit.",
    type=click.IntRange(min=0),
    default=1000,
)
@option("--audit-reads", "Write every read into the audit log, too.", is_flag=True)
@option(
    "--delivered",
    "Refuse versions that cannot be delivered, even while no delivery process is connected.",
    is_flag=True,
)
@option(
    "--accept-undeliverable",
    "Accept versions that cannot be delivered; the last deliverable version stays in service.",
    is_flag=True,
)
@option(
    "--workers-domain",
    "Host name of Workers behind TLS, for example workers.example, for the links that wrangler prints.",
    callback=lambda _context, _option, value: _domain(value),
)
@option(
    "--witness",
    "Witness to ask for a cosignature of each checkpoint of the log, as URL=VKEY. Repeatable.",
    multiple=True,
    metavar="URL=VKEY",
    callback=_check_witnesses,
)
@option(
    "--audit-sink",
    "URL of a file or server that gets each audit log entry: file, https or syslog+tls. Repeatable.",
    multiple=True,
    metavar="URL",
    callback=_check_sinks,
)
@option("--audit-sink-token", "File with the bearer token of the sink with https://, mode 0600.", type=FILE)
@option("--audit-sink-ca", "PEM file of CAs of the sinks; default: the system's trusted issuers.", type=FILE)
@proxy_options
@click.pass_obj
def command(  # noqa: PLR0913 - one for each option
    inherited: "Inherited | None",
    /,
    *,
    data: Path,
    store_patience: float,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_client_ca: Path | None,
    log_format: str,
    plain_http: bool,
    workers: int,
    keep_alive: int,
    delivered: bool,
    accept_undeliverable: bool,
    workers_domain: str | None,
    trusted_proxy: "Networks",
    proxy_header: str,
    **others: Any,
) -> None:
    """Serve the API of a safe.

    The command prints one line when it is ready. On SIGTERM it finishes the requests in flight and exits with 0. On
    SIGHUP it reloads certificates and reopens log files. It neither needs nor reads the private ring.
    """
    import uvloop

    _serve_in_workers(workers if inherited is None else 1)
    os.environ["_RJEM_MALLOC_CONF"] = _OVERWRITE_FREED  # must be set before the server's library is loaded
    tls = check_tls_files(tls_cert, tls_key, tls_client_ca)
    _refuse_plain(host, allowed=plain_http or tls is not None)
    admission = DeliveryOptions(delivered, accept_undeliverable, workers_domain or "")
    limits = _limits(others)
    add_entrance, open_helpers = (
        partial(_add_entrance, trusted_proxy, proxy_header),
        partial(_helpers, data, others, inherited),
    )
    directory, open_listener = DataDirectory(data, store_patience), partial(_listener, inherited, host, port)
    with _confined(directory, open_listener, tls, log_format, open_helpers, inherited=inherited) as parts:
        listener, pair, hangups, helpers = parts
        running = partial(_run, tls=pair, keep_alive=keep_alive, hangups=hangups, data=None if inherited else data)
        code = uvloop.run(_serve(inherited, directory, listener, limits, admission, add_entrance, running, helpers))
    sys.exit(code)


def _serve_in_workers(workers: int) -> None:
    """If there are to be several API processes, serve in child processes with the same options, and exit."""
    if workers > 1:
        from nightsafe.cli.server.workers.serve_workers import serve_in_workers

        sys.exit(serve_in_workers(options_of(command), click.get_current_context().params))


def _limits(options: dict[str, Any]) -> Limits:
    """Return the limits that the options set."""
    return Limits(
        max_variables=options["max_variables"],
        upload_memory=options["upload_memory"] * _MEGABYTE,
        rate_limit=options["rate_limit"],
        rate_seconds=options["rate_window"],
        auth_failures=options["auth_failures"],
    )


@contextlib.contextmanager
def _confined(  # noqa: PLR0913 - the parts of a server
    directory: DataDirectory,
    listener: Callable[[], socket.socket],
    tls: TlsFiles | None,
    log_format: str,
    open_helpers: "Callable[[], Helpers]",
    *,
    inherited: "Inherited | None",
) -> "Iterator[tuple[socket.socket, tuple[TlsFiles, ReloadResources] | None, Hangups, Helpers]]":
    """Lock the safe and open the socket, then confine this process.

    Give the socket, the TLS files, the functions to call at SIGHUP, and the helper processes.

    Raises:
        NightsafeError: if the safe or a sink cannot be used, or the socket cannot be opened.
    """
    from nightsafe.cli.data_directory.local_server import create_address_file
    from nightsafe.cli.data_directory.lock import shared_lock
    from nightsafe.cli.data_directory.recovery import recover_and_share
    from nightsafe.cli.process.open_files import require_open_files
    from nightsafe.cli.process.stdio import OutputFiles
    from nightsafe.cli.server.confinement import Confinement
    from nightsafe.cli.tls.reload_resources import ReloadResources

    require_open_files()
    has_parent, beside_delivery = inherited is not None, inherited is not None and inherited.beside_delivery
    # A parent that passed a socket has already recovered the data directory.
    with contextlib.ExitStack() as stack:
        stack.enter_context(shared_lock(directory.path) if has_parent else recover_and_share(directory.path))
        tls_paths = (tls.certificate, tls.key, tls.client_ca) if tls else ()
        store_files = directory.address.files if directory.address else ()
        files = (*filter(None, tls_paths), *store_files)
        confinement = Confinement(directory, files, beside_delivery=beside_delivery)
        stack.enter_context(confinement.hold_database_open())
        listening_socket = stack.enter_context(listener())
        if not beside_delivery:
            directory.load_identity_key()  # an older safe gets it here, because a confined process cannot write it
        spare = stack.enter_context(contextlib.closing(ReloadResources())) if tls else None
        helpers = open_helpers()
        output_files = OutputFiles()
        output_files.start_reopener()
        confinement.confine(listening_socket, spare, () if has_parent else create_address_file(directory.path))
        output = _prepare_output(output_files, log_format, has_parent=has_parent)
        confinement.log_missing()
        hangups = [output.renew, *helpers.hangups]
        yield listening_socket, (tls, spare) if tls and spare else None, hangups, helpers


def _helpers(data: Path, options: dict[str, Any], inherited: "Inherited | None") -> "Helpers":
    """Start the helper processes that the options ask for. Only they can connect to anything.

    Of several API processes only the first one has them, so that nothing is sent twice.

    Raises:
        NightsafeError: INVALID, if a sink or a file cannot be used.
    """
    from nightsafe.cli.server.helpers import Helpers

    return Helpers.open(data, options, are_wanted=inherited is None or inherited.is_first)


def _prepare_output(files: "OutputFiles", log_format: str, *, has_parent: bool) -> "OutputFiles":
    """Set up this process's output, log and limit of open files. Return the files of its output."""
    from nightsafe.cli.process.logs import configure
    from nightsafe.cli.process.open_files import raise_open_file_limit
    from nightsafe.cli.process.stdio import set_up_output

    output = set_up_output(files)
    configure(log_format)
    if not has_parent:  # a parent has raised the limit already
        raise_open_file_limit()
    return output


def _refuse_plain(host: str, *, allowed: bool) -> None:
    """Refuse an address that other machines reach, unless that is allowed.

    Raises:
        NightsafeError: INVALID.
    """
    if allowed:
        return
    from nightsafe.cli.server.listener import refuse_plain

    refuse_plain(host)


def _listener(inherited: "Inherited | None", host: str, port: int) -> socket.socket:
    """Return the socket to listen on: the inherited one, or a new one."""
    from nightsafe.cli.server.listener import listen

    return inherited.listener if inherited else listen(host, port)


def _add_entrance(networks: "Networks", header: str, app: "Application") -> "Application":
    """Put the checks that every request must pass in front of an application."""
    from nightsafe.api.http.entrance import Entrance
    from nightsafe.api.http.forwarded import Proxies

    return Entrance(app, Proxies([str(network) for network in networks], header) if networks else None)


async def _serve(  # noqa: PLR0913, PLR0917 - the parts of a server
    inherited: "Inherited | None",
    directory: DataDirectory,
    listener: socket.socket,
    limits: Limits,
    delivered: DeliveryOptions,
    add_entrance: "Callable[[Application], Application]",
    run: "Callable[[Application, socket.socket, Callable[[], None]], Awaitable[int]]",
    helpers: "Helpers",
) -> int:
    """Open the safe and serve it until a signal stops the process. Return the exit code."""
    from nightsafe.api.app import App
    from nightsafe.api.http.entrance import with_rate_limits
    from nightsafe.services.audit.older_values import OlderValues
    from nightsafe.services.delivery.other_nodes import OtherNodes
    from nightsafe.services.delivery.siblings import Siblings
    from nightsafe.store.announcements import Announcements

    store = await directory.open_store()
    nodes = OtherNodes(store) if isinstance(store, Announcements) else None
    siblings = Siblings(inherited.links if inherited else None, nodes)
    try:
        limits = limits.share(siblings.count)
        safe, shippers = await directory.safe_for(store), helpers.shippers(store)
        app = App(store, safe, limits, delivered, shippers, siblings=siblings, audit_reads=helpers.reads)
        siblings.listen()
        gc.freeze()  # these objects stay alive; without this each collection would scan them and delay requests
        try:
            is_older = directory.load_identity_key().states_older_rows and (inherited is None or inherited.is_first)
            older_values = OlderValues(store, safe) if is_older else None
            async with helpers.running(store, app.transparency_log, older_values):
                return await run(add_entrance(with_rate_limits(app, limits)), listener, app.end_waiting)
        finally:
            await app.close()
    finally:
        siblings.close()
        await store.close()


async def _run(  # noqa: PLR0913 - the parts of a server
    app: "Application",
    listener: socket.socket,
    end_waiting: Callable[[], None],
    *,
    tls: "tuple[TlsFiles, ReloadResources] | None",
    keep_alive: int,
    hangups: "Hangups",
    data: Path | None,
) -> int:
    """Serve on a socket until a signal stops the process. Return the exit code.

    At the end, requests that wait for changes are answered at once. While the server runs, its address is in the data
    directory; if `data` is None, the parent process writes it there.
    """
    from nightsafe.cli.data_directory.local_server import publish_address
    from nightsafe.cli.process.signals import handle_signals
    from nightsafe.cli.server.api_server import ApiServer
    from nightsafe.cli.server.listener import authority, local_authority

    server = ApiServer(app, listener, tls, keep_alive)
    with handle_signals([*hangups, server.renew]) as stopping:
        await server.start()
        stop_task, end_task = asyncio.ensure_future(stopping.wait()), asyncio.ensure_future(server.wait_until_ended())
        scheme = "https" if tls else "http"
        url = f"{scheme}://{local_authority(listener)}/client/v4"
        with publish_address(data, url) if data else contextlib.nullcontext():
            click.echo(f"listening on {scheme}://{authority(listener)}/client/v4")
            await asyncio.wait({end_task, stop_task}, return_when=asyncio.FIRST_COMPLETED)
        stop_task.cancel()
        end_task.cancel()
        if not stopping.is_set():
            return 1
        end_waiting()
        await server.stop()
        return 0
