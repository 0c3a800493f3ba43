"""`nightsafe run`: the API and delivery on one machine, as two processes.

This process is the delivery process. The API is its child. It starts before any key is read and cannot read the
private ring. It ends with this process. If it ends by itself, this process restarts it and serves scripts meanwhile.
"""

import asyncio
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.data_directory.recovery import recover_and_share
from nightsafe.cli.server import serve
from nightsafe.cli.server.delivery_options import (
    check_approvers,
    check_listen,
    delivery_options,
    keys_option,
    make_settings,
    ring_option,
)
from nightsafe.cli.server.own_token import temporary_token
from nightsafe.cli.server.workers.inherited import BESIDE_DELIVERY
from nightsafe.cli.settings.options import FILE, option, options_of
from nightsafe.errors import NightsafeError
from nightsafe.identity.permissions import DELIVERY, RESEALING

if TYPE_CHECKING:
    from nightsafe.cli.process.stdio import OutputFiles
    from nightsafe.delivery.settings import DeliverySettings

_ALWAYS = "delivered"
"""The option of `serve` that `run` always sets."""

_SERVE_OPTIONS = options_of(serve.command)


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
    requests in flight and exits with 0. On SIGHUP it reloads certificates and the approvers file, and reopens
    log files.
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
    check_approvers(values["approvers"])
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
    from nightsafe.cli.server.workers.api_workers import local_address, running_api
    from nightsafe.cli.tls.run_tls import ApiTlsFiles
    from nightsafe.delivery.keep_running import keep_running
    from nightsafe.delivery.source.http import HttpSource

    tls = ApiTlsFiles(values)
    options = values | tls.copied_options | {_ALWAYS: True}
    hangups: list[Callable[[], None]] = [output.renew, tls.renew]
    with contextlib.closing(tls), handle_signals(hangups) as stopping:
        async with (
            running_probes(values["probes"]) as probes,
            running_api(_SERVE_OPTIONS, options, BESIDE_DELIVERY, tls.descriptors) as (api, url),
        ):
            hangups.append(api.send_hangup)
            click.echo(f"listening on {url}")
            local = local_address(url)
            source = HttpSource(local, token, settings.account_id, tls.context)
            with publish_address(values["data"], local):
                async with running_delivery(settings, source, keys, values["listen"], probes) as delivery:
                    hangups.append(delivery.follower.reload_rules)
                    watching = keep_running("api", api.watch, fatal=(NightsafeError,))
                    return await wait_until_stopped(delivery, stopping, watching)
