"""Says that a script's newest deployment waits for an approval."""

from contextlib import suppress

from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.terminal.output import notify
from nightsafe.client import APIStatusError


def notify_waiting(remote: Remote) -> None:
    """Print a line for each version that delivery processes do not serve without an approval.

    Print nothing for a server that does not report delivery processes.
    """
    with suppress(APIStatusError):
        processes = remote.client.request("GET", f"/accounts/{remote.account_id}/nightsafe/processes")
        lines = {
            f"{remote.script} is waiting for approval of version {version}: serving "
            f"{', '.join(waiting['serving']) or 'nothing'}; to approve it, run: "
            f"nightsafe approve {remote.script} {version}"
            for process in processes
            for waiting in process.get("waiting", ())
            if waiting["script"] == remote.script
            for version in waiting["versions"]
        }
        for line in sorted(lines):
            notify(line)
