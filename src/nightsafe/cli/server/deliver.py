"""`nightsafe deliver`: the delivery process alone, on the machine where scripts run."""

import asyncio
import contextlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from nightsafe.cli.server.delivery_options import (
    api_options,
    check_approvers,
    check_listen,
    delivery_options,
    keys_option,
    make_settings,
    ring_option,
)
from nightsafe.cli.settings.options import log_format_option
from nightsafe.errors import Code, NightsafeError

if TYPE_CHECKING:
    from nightsafe.cli.process.stdio import OutputFiles
    from nightsafe.delivery.source.http import HttpSource

_PAUSE = 2.0


@click.command("deliver")
@api_options
@ring_option
@keys_option
@delivery_options
@log_format_option
def command(**values: Any) -> None:
    """Deliver secrets to Workers scripts.

    The command fetches scripts from an API, opens their secrets, and runs the scripts on workerd. It prints one line
    when it is ready. On SIGTERM it finishes the requests in flight and exits with 0. On SIGHUP it reloads
    certificates and the approvers file, and reopens log files.
    """
    from nightsafe.cli.data_directory.recovery import recover_and_share, safes_of
    from nightsafe.cli.process.logs import configure
    from nightsafe.cli.process.open_files import raise_open_file_limit
    from nightsafe.cli.process.stdio import set_up_output

    output = set_up_output()
    for name in ("private_ring", "verify_keys"):
        if values[name] is None:
            raise click.UsageError(
                f"--{name.replace('_', '-')} is missing: name the file, which nightsafe init creates"
            )
    check_listen(values)
    check_approvers(values["approvers"])
    configure(values["log_format"])
    raise_open_file_limit()
    with contextlib.ExitStack() as stack:
        for data in safes_of(values["private_ring"], values["verify_keys"], values["marks"]):
            stack.enter_context(recover_and_share(data))
        code = asyncio.run(_deliver(values, output))
    sys.exit(code)


async def _deliver(values: dict[str, Any], output: "OutputFiles") -> int:
    """Deliver until a signal stops the process. Return the exit code."""
    from nightsafe.cli.process.signals import handle_signals
    from nightsafe.cli.server.delivery_process import (
        reload_tls,
        running_delivery,
        running_probes,
        source_from_options,
        wait_for_any,
        wait_until_stopped,
    )

    source = source_from_options(values)
    hangups: list[Callable[[], None]] = [output.renew, lambda: reload_tls(source, values)]
    with handle_signals(hangups) as stopping:
        async with running_probes(values["probes"]) as probes:
            account_id = values["account_id"]
            if account_id is None:
                account_task = asyncio.ensure_future(_account(source))
                await wait_for_any(stopping.wait(), asyncio.shield(account_task))
                if stopping.is_set():
                    account_task.cancel()
                    await source.close()
                    return 0
                account_id = account_task.result()
            settings = make_settings(account_id, values["private_ring"], values)
            keys = values["private_ring"], values["verify_keys"]
            async with running_delivery(settings, source, keys, values["listen"], probes) as delivery:
                hangups.append(delivery.follower.reload_rules)
                return await wait_until_stopped(delivery, stopping)


async def _account(source: "HttpSource") -> str:
    """Return the token's account. While the API is unavailable, try again."""
    import structlog

    logged = ""
    while True:
        try:
            return await source.find_account()
        except NightsafeError as error:
            if error.code is not Code.UNAVAILABLE:
                raise
            reason = error.problems[0].detail
            if reason != logged:
                structlog.get_logger().error("delivery.problem", script="", reason=reason)
            logged = reason
            await asyncio.sleep(_PAUSE)
