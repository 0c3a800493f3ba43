"""`nightsafe version list`."""

from itertools import islice

import click
import msgspec

from nightsafe.cli.options import json_option
from nightsafe.cli.output import show_json, show_table
from nightsafe.cli.remote import Remote, script_options
from nightsafe.cli.versions import ELASTIC, HEAD, row


@click.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@script_options
@json_option
def command(*, remote: Remote, limit: int, as_json: bool) -> None:
    """List the versions of a script, the newest first. Of an id the first letters are shown, which are enough."""
    page = min(limit, 100)
    every = remote.client.workers.scripts.versions.list(remote.script, account_id=remote.account_id, per_page=page)
    versions = list(islice(every, limit))
    if as_json:
        show_json({"script": remote.script, "versions": [msgspec.to_builtins(one) for one in versions]})
    else:
        show_table(HEAD, [row(one) for one in versions], elastic=ELASTIC)
