"""`nightsafe script list`."""

import click
import msgspec

from nightsafe.cli.options import json_option
from nightsafe.cli.output import say, show_json, show_table
from nightsafe.cli.remote import Remote, remote_options
from nightsafe.cli.times import shown


@click.command("list")
@remote_options
@json_option
def command(*, remote: Remote, as_json: bool) -> None:
    """List the scripts of an account, by name."""
    scripts = list(remote.client.workers.scripts.list(account_id=remote.account_id))
    if as_json:
        show_json({"account_id": remote.account_id, "scripts": [msgspec.to_builtins(one) for one in scripts]})
    elif scripts:
        rows = [[one.id, shown(one.modified_on), one.last_deployed_from or "-"] for one in scripts]
        show_table(("name", "modified_on", "by"), rows)
    else:
        say("there are no scripts")
