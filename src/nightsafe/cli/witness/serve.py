"""`nightsafe audit witness serve`: the server of a witness."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nightsafe.cli.settings.options import FILE, log_format_option
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.witness.folder import WitnessFolder, folder_option

if TYPE_CHECKING:
    from nightsafe.audit.witness.witness import Witness
    from nightsafe.cli.process.stdio import OutputFiles
    from nightsafe.cli.tls.files import TlsFiles
    from nightsafe.cli.witness.log_source import LogSource

_TOKEN_BYTES = 4096
_KEEP_ALIVE = 120


@click.command("serve")
@folder_option
@click.option("--logs", type=FILE, help="List of the logs' verifier keys.  [default: logs.txt in the directory]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address or host name to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8789,
    show_default=True,
    help="Port to listen on; 0 takes a free port.",
)
@click.option(
    "--tls-cert", type=FILE, help="PEM file of the server's certificate chain; the server then speaks HTTPS."
)
@click.option("--tls-key", type=FILE, help="PEM file of that certificate's private key.")
@click.option(
    "--plain-http", is_flag=True, help="Allow listening without TLS on an address that other machines reach."
)
@click.option(
    "--follow", multiple=True, metavar="URL", help="API whose log to ask for new checkpoints, every 5 s. Repeatable."
)
@click.option(
    "--token-file", type=FILE, help="File, mode 0600, with a token for --follow with Account Settings Read."
)
@log_format_option
def command(  # noqa: PLR0913 - one for each option
    *,
    folder: Path,
    logs: Path | None,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    plain_http: bool,
    follow: tuple[str, ...],
    token_file: Path | None,
    log_format: str,
) -> None:
    """Serve a witness.

    The witness cosigns a checkpoint of a listed log when a proof shows that the log has only grown since the last
    checkpoint that it cosigned. The command prints one line when it is ready. On SIGTERM it finishes the requests in
    flight and exits with 0. On SIGHUP it reloads the list of logs and its certificates, and reopens log files.
    """
    from nightsafe.audit.witness.witness import Witness
    from nightsafe.cli.process.logs import configure
    from nightsafe.cli.process.stdio import set_up_output
    from nightsafe.cli.server.listener import is_loopback
    from nightsafe.cli.tls.files import check_tls_files

    output = set_up_output()
    configure(log_format)
    tls = check_tls_files(tls_cert, tls_key, None)
    if tls is None and not plain_http and not is_loopback(host):
        raise CommandError(
            f"other machines reach {host}, and without TLS anyone on the way could change what the witness answers:"
            " give --tls-cert and --tls-key, or --plain-http if a proxy in front does TLS, or leave out --host to"
            " listen on this machine only"
        )
    place = WitnessFolder(folder)
    if logs is not None:
        place.logs_file = logs
    sources = _log_sources(follow, token_file)
    key = place.key()
    state = place.state(key)
    state.acquire()
    try:
        witness = Witness(key, state, place.logs(), time.time)
        code = asyncio.run(_serve(witness, place, (host, port), tls, output, sources))
    finally:
        state.release()
    sys.exit(code)


def _log_sources(urls: tuple[str, ...], token_file: Path | None) -> "list[LogSource]":
    """Return the logs to follow.

    Raises:
        NightsafeError: INVALID, if a URL cannot be used.
        CommandError: if the token's file cannot be read, or others may read it.
    """
    from nightsafe.cli.settings.own_file import read_own_file
    from nightsafe.cli.witness.log_source import LogSource

    if not urls:
        return []
    if token_file is None:
        raise click.UsageError("--follow needs --token-file: a file with a token that may read the audit log")
    token = read_own_file(token_file, f"the file {token_file} of --token-file", _TOKEN_BYTES)
    if not token or not token.isascii() or not token.isprintable():
        raise click.UsageError(f"{token_file} holds no token")
    return [LogSource(url, token) for url in urls]


@contextlib.asynccontextmanager
async def _following(witness: "Witness", sources: "list[LogSource]") -> AsyncIterator[None]:
    """Follow logs for the length of this block."""
    from nightsafe.audit.witness.follow import LogFollower
    from nightsafe.delivery.keep_running import keep_running

    followers = [LogFollower(source.name, source.get, witness) for source in sources]
    tasks = [asyncio.ensure_future(keep_running("follow", follower.run)) for follower in followers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for source in sources:
            await source.close()


async def _serve(  # noqa: PLR0913, PLR0917 - the parts of a server
    witness: "Witness",
    place: WitnessFolder,
    address: tuple[str, int],
    tls: "TlsFiles | None",
    output: "OutputFiles",
    sources: "list[LogSource]",
) -> int:
    """Serve until a signal stops the process. Return the exit code."""
    from nightsafe.cli.process.signals import handle_signals
    from nightsafe.cli.server.api_server import ApiServer
    from nightsafe.cli.server.listener import authority, listen
    from nightsafe.cli.tls.reload_resources import ReloadResources
    from nightsafe.cli.witness.app import WitnessApp

    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen(*address))
        spare = stack.enter_context(contextlib.closing(ReloadResources())) if tls else None
        server = ApiServer(WitnessApp(witness), listener, (tls, spare) if tls and spare else None, _KEEP_ALIVE)
        hangups = [output.renew, server.renew, lambda: _reload_logs(witness, place)]
        with handle_signals(hangups) as stopping:
            await server.start()
            click.echo(f"listening on {'https' if tls else 'http'}://{authority(listener)}")
            ended = asyncio.ensure_future(server.wait_until_ended())
            stopped = asyncio.ensure_future(stopping.wait())
            async with _following(witness, sources):
                await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            stopped.cancel()
            if not stopping.is_set():
                return 1
            await server.stop()
    return 0


def _reload_logs(witness: "Witness", place: WitnessFolder) -> None:
    """Reload the list of logs. A list that cannot be used changes nothing."""
    import structlog

    from nightsafe.errors import NightsafeError

    try:
        witness.logs = place.logs()
    except NightsafeError as error:
        structlog.get_logger().error("witness.logs_refused", reason=error.problems[0].detail)
