"""`nightsafe secret diff`."""

import sys
from pathlib import Path

import click

from nightsafe.cli.secret.fingerprints import own_key
from nightsafe.cli.secret.plan import make_plan
from nightsafe.cli.secret.sources.declared import read_declared
from nightsafe.cli.secret.writing import key_file_option
from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import script_options
from nightsafe.cli.terminal.errors import DIFFERS
from nightsafe.cli.terminal.output import say


@click.command("diff")
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--prune", is_flag=True, help="Count secrets that are not in the file as a difference.")
@key_file_option
@script_options
@json_option
def command(*, remote: Remote, file: str, prune: bool, fingerprint_key_file: Path | None, as_json: bool) -> None:
    """Show what a file would change: a JSON object or `.env`, as with `bulk`. `-` is standard input.

    No value is read, for none can be: they are told by the fingerprints that were left when they were put. What was
    put without one, or with another key, is `unknown`. Ends with 7 when there is a difference, or may be one.
    """
    key = own_key(fingerprint_key_file)
    plan = make_plan(remote, read_declared(file), key)
    plan.show(as_json=as_json, prune=prune)
    if plan.differs(prune=prune):
        sys.exit(DIFFERS)
    if not as_json:
        say(f"{plan.script} has what {'standard input' if file == '-' else file} says")
