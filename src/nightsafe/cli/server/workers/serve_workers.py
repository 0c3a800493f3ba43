"""The parent of the API processes of `nightsafe serve --workers`.

It holds the socket, the lock of the data directory and the file with the address. It opens neither the store nor a
key, and takes no request.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import structlog

from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.cli.data_directory.local_server import publish_address
from nightsafe.cli.data_directory.recovery import recover_and_share
from nightsafe.cli.process.logs import configure
from nightsafe.cli.process.open_files import raise_open_file_limit
from nightsafe.cli.process.signals import handle_signals
from nightsafe.cli.process.stdio import set_up_output
from nightsafe.cli.server.workers.api_workers import ApiWorkers, local_address, running_api
from nightsafe.cli.server.workers.inherited import ALONE
from nightsafe.cli.tls.files import check_tls_files
from nightsafe.errors import NightsafeError

if TYPE_CHECKING:
    from nightsafe.cli.process.stdio import OutputFiles

_log = structlog.get_logger()


def serve_in_workers(options: Mapping[str, click.Option], values: Mapping[str, Any]) -> int:
    """Serve in child processes until a signal stops this one. Return the exit code.

    Args:
        options: the options of `serve`, by name.
        values: their values.

    Raises:
        NightsafeError: if the safe or an option cannot be used, or a process does not start.
    """
    check_tls_files(values["tls_cert"], values["tls_key"], values["tls_client_ca"])
    directory = DataDirectory(values["data"])
    with recover_and_share(directory.path):
        directory.check()
        output = set_up_output()
        configure(values["log_format"])
        raise_open_file_limit()
        return asyncio.run(_run(options, values, directory.path, output))


async def _run(
    options: Mapping[str, click.Option], values: Mapping[str, Any], data: Path, output: "OutputFiles"
) -> int:
    """Serve until a signal stops this process, or the processes do not stay alive. Return the exit code."""
    hangups: list[Callable[[], None]] = [output.renew]
    with handle_signals(hangups) as stopping:
        async with running_api(options, values, ALONE) as (workers, url):
            hangups.append(workers.send_hangup)
            click.echo(f"listening on {url}")
            with publish_address(data, local_address(url)):
                return await _wait(workers, stopping)


async def _wait(workers: ApiWorkers, stopping: asyncio.Event) -> int:
    """Wait for a signal, or until a process is not restarted any more. Return the exit code."""
    stop, watch = asyncio.ensure_future(stopping.wait()), asyncio.ensure_future(workers.watch())
    await asyncio.wait({stop, watch}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    watch.cancel()
    (error,) = await asyncio.gather(watch, return_exceptions=True)
    if isinstance(error, NightsafeError):
        _log.error("api.gave_up", reason=error.problems[0].detail)
        click.echo(f"nightsafe: {error.problems[0].detail}", err=True)
    return 0 if stopping.is_set() else 1
