"""`nightsafe run`: the API and delivery on one machine, as two processes.

This process is the delivery process. The API is its child. It starts before any key is read and cannot read the
private ring. It ends with this process. If it ends by itself, this process restarts it and serves scripts meanwhile.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
import msgspec

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.data_directory.recovery import recover_and_share
from nightsafe.cli.server import serve
from nightsafe.cli.server.delivery_options import (
    check_listen,
    delivery_options,
    keys_option,
    make_settings,
    ring_option,
)
from nightsafe.cli.server.own_token import temporary_token
from nightsafe.cli.settings.options import FILE, option
from nightsafe.errors import NightsafeError
from nightsafe.identity.permissions import DELIVERY, RESEALING

if TYPE_CHECKING:
    from nightsafe.cli.process.stdio import OutputFiles
    from nightsafe.cli.server.api_process import ApiProcess
    from nightsafe.delivery.settings import DeliverySettings

_ALWAYS = "delivered"
"""The option of `serve` that `run` always sets."""

_SERVE_OPTIONS = {
    parameter.name: parameter for parameter in serve.command.params if isinstance(parameter, click.Option)
}


def _add_serve_options(command: click.Command) -> click.Command:
    """Put every option of `serve` before the command's own options; an option of both appears once."""
    own_names = {_ALWAYS, *(parameter.name for parameter in command.params)}
    command.params = [
        *(parameter for name, parameter in _SERVE_OPTIONS.items() if name not in own_names),
        *command.params,
    ]
    return command


@_add_serve_options
@click.command("run")
@option("--client-cert", "PEM file of a client certificate for the API; needed with --tls-client-ca.", type=FILE)
@option("--client-key", "PEM file of that certificate's private key.", type=FILE)
@ring_option
@keys_option
@delivery_options
def command(**values: Any) -> None:
    """Serve the API of a safe and deliver its secrets to Workers scripts, on one machine.

    The command prints a line when the API is ready and a line when scripts are ready. On SIGTERM it finishes the
    requests in flight and exits with 0. On SIGHUP it reloads certificates and reopens log files.
    """
    from nightsafe.cli.process.logs import configure
    from nightsafe.cli.process.open_files import raise_open_file_limit
    from nightsafe.cli.process.stdio import set_up_output
    from nightsafe.cli.server.confinement import refuse_readable_ring

    output = set_up_output()
    configure(values["log_format"])
    raise_open_file_limit()
    if values["tls_client_ca"] and not values["client_cert"]:
        raise click.UsageError(
            "--tls-client-ca needs --client-cert and --client-key: this process is a client of the API too"
        )
    check_listen(values)
    directory = DataDirectory(values["data"])
    ring, keys = values["private_ring"] or directory.private_ring, values["verify_keys"] or directory.verify_keys
    refuse_readable_ring(ring, directory)
    settings = make_settings("", ring, values)
    with recover_and_share(directory.path):
        code = _serve_both(directory, settings, values, (ring, keys), output)
    sys.exit(code)


def _serve_both(
    directory: DataDirectory,
    settings: "DeliverySettings",
    values: dict[str, Any],
    keys: tuple[Path, Path],
    output: "OutputFiles",
) -> int:
    """Serve and deliver, with a token that is revoked at the end. Return the exit code."""
    _require_unused_folder(
        settings.folder
    )  # else the token of another `run` would be mistaken for a left-over and revoked
    name = f"nightsafe run {settings.folder}"
    with temporary_token(directory, values["account_id"], name, (DELIVERY, RESEALING)) as token:
        settings = msgspec.structs.replace(settings, account_id=token.account_id)
        return asyncio.run(_run(settings, values, keys, token.token, output))


def _require_unused_folder(path: Path) -> None:
    """Refuse to start while another process delivers with the same directory of sockets.

    Raises:
        NightsafeError: UNAVAILABLE.
    """
    from nightsafe.delivery.workerd.folder import SocketFolder

    folder = SocketFolder(path)
    folder.acquire()
    folder.release()


async def _run(
    settings: "DeliverySettings", values: dict[str, Any], keys: tuple[Path, Path], token: str, output: "OutputFiles"
) -> int:
    """Serve and deliver until a signal stops the process. Return the exit code."""
    from nightsafe.cli.data_directory.local_server import publish_address
    from nightsafe.cli.process.signals import handle_signals
    from nightsafe.cli.server.delivery_process import running_delivery, running_probes, wait_until_stopped
    from nightsafe.cli.tls.run_tls import ApiTlsFiles
    from nightsafe.delivery.keep_running import keep_running
    from nightsafe.delivery.source.http import HttpSource

    tls = ApiTlsFiles(values)
    hangups: list[Callable[[], None]] = [output.renew, tls.renew]
    with contextlib.closing(tls), handle_signals(hangups) as stopping:
        async with (
            running_probes(values["probes"]) as probes,
            _running_api(values | tls.copied_options, tls.descriptors) as (api, url),
        ):
            hangups.append(api.send_hangup)
            click.echo(f"listening on {url}")
            local = _local(url)
            source = HttpSource(local, token, settings.account_id, tls.context)
            with publish_address(values["data"], local):
                async with running_delivery(settings, source, keys, values["listen"], probes) as delivery:
                    watching = keep_running("api", api.watch, fatal=(NightsafeError,))
                    return await wait_until_stopped(delivery, stopping, watching)


@contextlib.asynccontextmanager
async def _running_api(values: dict[str, Any], inherited: Iterable[int]) -> AsyncIterator[tuple["ApiProcess", str]]:
    """Start the API's process, give it with its address, and stop it at the end.

    Args:
        values: values of the options.
        inherited: descriptors that the process inherits.

    Raises:
        NightsafeError: INVALID, if it may not or cannot listen at the address; UNAVAILABLE, if it does not start. The
            process has then printed the reason.
    """
    from nightsafe.cli.server.api_process import ApiProcess
    from nightsafe.cli.server.listener import listen, refuse_plain

    if not values["tls_cert"] and not values["plain_http"]:
        refuse_plain(values["host"])
    api = ApiProcess(_arguments(values), listen(values["host"], values["port"]), inherited=inherited)
    try:
        yield api, await api.start()
    finally:
        await api.stop()


def _arguments(values: dict[str, Any]) -> list[str]:
    """Return the command line of `serve` with these options; it contains no secret."""
    arguments = ["serve"]
    for name, parameter in _SERVE_OPTIONS.items():
        value = name == _ALWAYS or values[name or ""]
        if parameter.is_flag:
            arguments += [parameter.opts[0]] if value else []
        elif value is not None:
            for option_value in value if isinstance(value, tuple) else (value,):
                arguments += [parameter.opts[0], str(option_value)]
    return arguments


def _local(url: str) -> str:
    """Return the address at which this machine reaches its own API."""
    parts = urlsplit(url)
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(parts.hostname or "")  # noqa: S104 - set by --host
    return parts._replace(netloc=f"{host}:{parts.port}").geturl() if host else url
