"""`nightsafe keys reseal`: reseals values in the foreground and shows its progress."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nightsafe.cli.server.delivery_options import api_options, keys_option, ring_option
from nightsafe.cli.server.own_token import temporary_token
from nightsafe.cli.settings.options import data_option, json_option, option
from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.permissions import RESEALING

if TYPE_CHECKING:
    from nightsafe.cli.data_directory.directory import DataDirectory
    from nightsafe.delivery.key_rotation.resealing import Progress
    from nightsafe.delivery.source.http import HttpSource
    from nightsafe.services.key_rotation.status import PendingAccount

_PRINT_SECONDS = 1.0
_DAY = 24 * 60 * 60 * 1_000_000


@click.command("reseal")
@data_option
@api_options
@option("--account-id", "Account of the values.  [default: the token's account]")
@ring_option
@keys_option
@click.option(
    "--rest",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Pause after each batch, as a multiple of the time that the batch took.",
)
@json_option
def command(**values: Any) -> None:
    """Reseal values that are sealed to older keys.

    A delivery process does the same in the background if its token permits it. You can stop this command at any time;
    values that it has resealed stay resealed. With the data directory of a running server you need no token: the
    command creates one and revokes it at the end.
    """
    from nightsafe.cli.data_directory.directory import DataDirectory
    from nightsafe.cli.process.logs import configure_command
    from nightsafe.cli.server.delivery_process import source_from_options

    configure_command()
    directory = DataDirectory(values["data"])
    if _is_named(values) or not directory.is_safe:
        progress = asyncio.run(_reseal(directory, values, values["account_id"], source_from_options(values)))
    else:
        progress = _reseal_here(directory, values)
    _print_result(progress, as_json=values["as_json"])


def _is_named(values: dict[str, Any]) -> bool:
    """Return whether an option names a token."""
    return values["token_file"] is not None or values["token_fd"] is not None


def _reseal_here(directory: "DataDirectory", values: dict[str, Any]) -> "Progress":
    """Reseal every account of a data directory, or the named one, with tokens that this command creates."""
    from nightsafe.cli.data_directory.local_server import address_of
    from nightsafe.cli.server.delivery_process import source_at
    from nightsafe.delivery.key_rotation.resealing import Progress
    from nightsafe.services.caller import now

    url = address_of(directory.path, trust_others=False)
    if url is None:
        raise NightsafeError(
            Code.UNAVAILABLE,
            f"no server serves {directory.path}: start one, or name another server with --api and a token",
        )
    account_id_option = values["account_id"]
    accounts = [account_id_option] if account_id_option else [account.account_id for account in _waiting(directory)]
    total, name = Progress(), f"nightsafe keys reseal {os.getpid()}"
    for account_id in accounts:
        with temporary_token(directory, account_id, name, (RESEALING,), expires_on=now() + _DAY) as token:
            source = source_at(url, token.token, token.account_id, values)
            total = total.plus(asyncio.run(_reseal(directory, values, token.account_id, source)))
    return total


def _waiting(directory: "DataDirectory") -> "list[PendingAccount]":
    """Return the accounts that have values under older keys."""
    from nightsafe.sealing.rings.public_ring import PublicRing
    from nightsafe.services.key_rotation.status import accounts_with_older_values

    primary = PublicRing.load(directory.public_ring).primary.id
    return directory.run(lambda store: accounts_with_older_values(store, primary))


async def _reseal(
    directory: "DataDirectory", values: dict[str, Any], account_id: str | None, source: "HttpSource"
) -> "Progress":
    """Reseal all values of an account, in one pass."""
    from nightsafe.cli.data_directory.directory import reloading_verifier, report_unusable
    from nightsafe.delivery.key_rotation.resealing import Resealer
    from nightsafe.delivery.source.http_resealing import HttpResealing
    from nightsafe.sealing.reloading.key_file import ReloadedFile
    from nightsafe.sealing.reloading.opener import ReloadingOpener
    from nightsafe.sealing.rings.private_ring import PrivateRing

    try:
        private: Path = values["private_ring"] or directory.private_ring
        verifier = reloading_verifier(values["verify_keys"] or directory.verify_keys)
        ring = ReloadedFile(private, PrivateRing.load, report_unusable, PrivateRing.as_successor_of)
        opener = ReloadingOpener(verifier, ring)
        account_id = account_id or await source.find_account()
        resealer = Resealer(account_id, HttpResealing(source), opener, rest=values["rest"])
        return await resealer.run_once(_ProgressPrinter())
    finally:
        await source.close()


class _ProgressPrinter:
    """Prints the progress of a pass to stderr, at most once a second."""

    def __init__(self) -> None:
        self._printed_at = time.monotonic()

    def __call__(self, progress: "Progress") -> None:
        """Print the progress after a batch."""
        if time.monotonic() - self._printed_at >= _PRINT_SECONDS:
            self._printed_at = time.monotonic()
            click.echo(f"{progress.resealed} of {progress.waiting} values resealed", err=True)


def _print_result(progress: "Progress", *, as_json: bool) -> None:
    """Print the result.

    Raises:
        NightsafeError: CANNOT_OPEN, if some values do not open.
    """
    result = {"resealed": progress.resealed, "changed": progress.changed, "unopened": progress.unopened}
    click.echo(json.dumps(result) if as_json else f"{progress.resealed} values resealed")
    if progress.unopened:
        raise NightsafeError(
            Code.CANNOT_OPEN,
            f"{progress.unopened} values do not open, or were not signed for their context; the log above names them",
        )
