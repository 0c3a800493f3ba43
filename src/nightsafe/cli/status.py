"""`nightsafe status`."""

import click

from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import remote_options
from nightsafe.cli.terminal.output import say, show_json, show_table

_RESEALS = {True: "yes", False: "no", None: "-"}


@click.command("status")
@remote_options
@json_option
def command(*, remote: Remote, as_json: bool) -> None:
    """Show the delivery processes of an account, whether they seal values anew, and the scripts that they hold apart.

    A script is held apart when it took a process down: it is answered with 503 until the time that is shown, or until
    its next version.
    """
    processes = remote.client.request("GET", f"/accounts/{remote.account_id}/nightsafe/processes")
    if as_json:
        show_json({"account_id": remote.account_id, "processes": processes})
        return
    if not processes:
        say("no process delivers this account's scripts")
        return
    rows = [
        [one["name"], str(one["acted_on"]), f"{one['asked_seconds_ago']:g} s ago", _RESEALS[one.get("reseals")]]
        for one in processes
    ]
    show_table(("process", "acted_on", "asked", "seals anew"), rows)
    held = [[one["script"], one["until"], one["reason"]] for process in processes for one in process["held"]]
    if not any(one.get("reseals", True) for one in processes):
        say(
            "no process may seal values anew after a rotation of keys: their tokens lack the permission Nightsafe "
            "Resealing; nightsafe keys reseal does it"
        )
    if held:
        click.echo()
        show_table(("held apart", "until", "reason"), held)
