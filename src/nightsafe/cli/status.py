"""`nightsafe status`: shows an account's delivery processes, and the scripts not served as they were deployed."""

from typing import Any

import click

from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import remote_options
from nightsafe.cli.terminal.output import say, show_json, show_table

_ALL_SCRIPTS = "(all scripts)"
_RESEALS = {True: "yes", False: "no", None: "-"}


@click.command("status")
@remote_options
@json_option
def command(*, remote: Remote, as_json: bool) -> None:
    """Show an account's delivery processes, and the scripts that they do not serve as deployed.

    A delivery process holds a script apart after the script took a process down. Requests to the script then get 503
    until the time shown, or until its next version. A process with an approvers file serves the last approved version
    of a script until an approver has approved the newest one. The last table names the scripts whose newest state a
    process refuses or cannot serve, with the reason and, if the log itself is refused, with what to do.
    """
    processes = remote.client.request("GET", f"/accounts/{remote.account_id}/nightsafe/processes")
    if as_json:
        show_json({"account_id": remote.account_id, "processes": processes})
        return
    if not processes:
        say("no delivery process serves this account's scripts")
        return
    rows = [
        [
            process["name"],
            str(process["acted_on"]),
            f"{process['asked_seconds_ago']:g} s ago",
            _RESEALS[process.get("reseals")],
        ]
        for process in processes
    ]
    show_table(("process", "acted_on", "asked", "reseals"), rows)
    held_scripts = [
        [hold["script"], hold["until"], hold["reason"]] for process in processes for hold in process["held"]
    ]
    if not any(process.get("reseals", True) for process in processes):
        say(
            "no process may reseal values after a rotation of keys, because their tokens lack the permission "
            "Nightsafe Resealing. Run: nightsafe keys reseal"
        )
    _show_waiting(processes)
    if held_scripts:
        click.echo()
        show_table(("held apart", "until", "reason"), held_scripts)
    _show_problems(processes)


def _show_problems(processes: list[dict[str, Any]]) -> None:
    """Print the scripts whose newest state is refused or cannot be served, each reason once."""
    rows = {
        (problem["script"] or _ALL_SCRIPTS, problem["reason"]): None
        for process in processes
        for problem in process.get("problems", ())
    }
    if rows:
        click.echo()
        show_table(("not served as deployed", "reason"), [list(row) for row in rows])


def _show_waiting(processes: list[dict[str, Any]]) -> None:
    """Print the scripts that wait for an approval, each once."""
    rows = {
        (waiting["script"], ", ".join(waiting["versions"]), ", ".join(waiting["serving"]) or "nothing (503)"): None
        for process in processes
        for waiting in process.get("waiting", ())
    }
    if rows:
        click.echo()
        show_table(("waiting for approval", "version", "serving"), [list(row) for row in rows])
