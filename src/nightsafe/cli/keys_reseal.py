"""`nightsafe keys reseal`: seals values anew in the foreground, and tells how far it has come."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nightsafe.cli.delivery_options import api_options, keys_option, option, ring_option
from nightsafe.cli.options import data_option, json_option
from nightsafe.errors import Code, NightsafeError

if TYPE_CHECKING:
    from nightsafe.delivery.resealer import Progress

_TELL_SECONDS = 1.0


@click.command("reseal")
@data_option
@api_options
@option("--account-id", "Whose values.  [default: those of the account that the token is for]")
@ring_option
@keys_option
@click.option(
    "--rest", type=click.FloatRange(min=0), default=1.0, show_default=True, help="Times of its work to rest."
)
@json_option
def command(**values: Any) -> None:
    """Seal values anew that are under older keys.

    A delivery process does the same in the background. It may be ended at any time; what is done is done.
    """
    import structlog  # noqa: PLC0415 - help needs none

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(_reseal(values))


async def _reseal(values: dict[str, Any]) -> None:
    """One pass over all there is."""
    from nightsafe.cli.data_directory import DataDirectory, report_unusable  # noqa: PLC0415 - help needs none
    from nightsafe.cli.delivering import source_of  # noqa: PLC0415 - the same
    from nightsafe.delivery.http_resealing import HttpResealing  # noqa: PLC0415 - the same
    from nightsafe.delivery.resealer import Resealer  # noqa: PLC0415 - the same
    from nightsafe.sealing.followed import Followed  # noqa: PLC0415 - the same
    from nightsafe.sealing.following_opener import FollowingOpener  # noqa: PLC0415 - the same
    from nightsafe.sealing.private_ring import PrivateRing  # noqa: PLC0415 - the same
    from nightsafe.sealing.verifying import VerifyKeys  # noqa: PLC0415 - the same

    directory = DataDirectory(values["data"])
    private: Path = values["private_ring"] or directory.private_ring
    verifier = VerifyKeys.load(values["verify_keys"] or directory.verify_keys)
    opener = FollowingOpener(verifier, Followed(private, PrivateRing.load, report_unusable))
    source = source_of(values)
    try:
        account_id = values["account_id"] or await source.find_account()
        resealer = Resealer(account_id, HttpResealing(source), opener, rest=values["rest"])
        done = await resealer.run_once(_Teller())
    finally:
        await source.close()
    _conclude(done, as_json=values["as_json"])


class _Teller:
    """Says on stderr how far a pass has come, once a second at the most."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __call__(self, progress: "Progress") -> None:
        """After a batch."""
        if time.monotonic() - self._told >= _TELL_SECONDS:
            self._told = time.monotonic()
            click.echo(f"{progress.resealed} of {progress.waiting} values sealed anew", err=True)


def _conclude(done: "Progress", *, as_json: bool) -> None:
    """Say what came of it.

    Raises:
        NightsafeError: CANNOT_OPEN, when there are values that do not open.
    """
    told = {"resealed": done.resealed, "changed": done.changed, "unopened": done.unopened}
    click.echo(json.dumps(told) if as_json else f"{done.resealed} values sealed anew")
    if done.unopened:
        raise NightsafeError(
            Code.CANNOT_OPEN,
            f"{done.unopened} values do not open, or were not signed for their place; the log above names them",
        )
