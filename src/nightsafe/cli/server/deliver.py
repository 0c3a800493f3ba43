"""`nightsafe deliver`: the delivery process alone, on the machine where scripts run."""

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Any

import click

from nightsafe.cli.server.delivery_options import (
    api_options,
    check_listen,
    delivery_options,
    keys_option,
    option,
    ring_option,
    settings_of,
)
from nightsafe.errors import Code, NightsafeError

if TYPE_CHECKING:
    from nightsafe.cli.process.stdio import Files
    from nightsafe.delivery.source.http import HttpSource

_PAUSE = 2.0


@click.command("deliver")
@api_options
@ring_option
@keys_option
@delivery_options
@option("--log-format", "Format of the log on stderr.", type=click.Choice(["json", "text"]), default="json")
def command(**values: Any) -> None:
    """Deliver secrets to Workers scripts.

    The command fetches scripts from an API, opens their secrets, and runs the scripts on workerd. It prints one line
    when it is ready. On SIGTERM it finishes the requests in flight and exits with 0. On SIGHUP it reloads
    certificates and reopens log files.
    """
    from nightsafe.cli.data_directory.recovery import safes_of, used  # noqa: PLC0415 - not needed for help
    from nightsafe.cli.process.logs import configure  # noqa: PLC0415 - not needed for help
    from nightsafe.cli.process.open_files import allow_many  # noqa: PLC0415 - likewise
    from nightsafe.cli.process.stdio import serving  # noqa: PLC0415 - likewise

    output = serving()
    for name in ("private_ring", "verify_keys"):
        if values[name] is None:
            raise click.UsageError(
                f"--{name.replace('_', '-')} is missing: name the file, which nightsafe init creates"
            )
    check_listen(values)
    configure(values["log_format"])
    allow_many()
    with contextlib.ExitStack() as held:
        for data in safes_of(values["private_ring"], values["verify_keys"], values["marks"]):
            held.enter_context(used(data))
        code = asyncio.run(_deliver(values, output))
    sys.exit(code)


async def _deliver(values: dict[str, Any], output: "Files") -> int:
    """Deliver until a signal stops the process. Return the exit code."""
    from nightsafe.cli.process.signals import signals  # noqa: PLC0415 - likewise
    from nightsafe.cli.server.delivery_process import (  # noqa: PLC0415 - not needed for help
        delivering,
        probed,
        source_of,
        trust_anew,
        until_any,
        watched,
    )

    source = source_of(values)
    with signals([output.renew, lambda: trust_anew(source, values)]) as stopping:
        async with probed(values["probes"]) as probes:
            account_id = values["account_id"]
            if account_id is None:
                finding = asyncio.ensure_future(_account(source))
                await until_any(stopping.wait(), asyncio.shield(finding))
                if stopping.is_set():
                    finding.cancel()
                    await source.close()
                    return 0
                account_id = finding.result()
            settings = settings_of(account_id, values["private_ring"], values)
            keys = values["private_ring"], values["verify_keys"]
            async with delivering(settings, source, keys, values["listen"], probes) as delivery:
                return await watched(delivery, stopping)


async def _account(source: "HttpSource") -> str:
    """Return the token's account. While the API is unavailable, try again."""
    import structlog  # noqa: PLC0415 - not needed for help

    said = ""
    while True:
        try:
            return await source.find_account()
        except NightsafeError as error:
            if error.code is not Code.UNAVAILABLE:
                raise
            reason = error.problems[0].detail
            if reason != said:
                structlog.get_logger().error("delivery.problem", script="", reason=reason)
            said = reason
            await asyncio.sleep(_PAUSE)
