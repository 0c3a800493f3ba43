"""`nightsafe secret diff`: shows the changes that `apply` would make."""

import sys
from pathlib import Path

import click

from nightsafe.cli.secret.fingerprints import load_or_create_key
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
    """Show the changes that `apply` would make.

    FILE is a JSON object or a `.env` file; `-` is standard input.

    Values cannot be read, so the command compares fingerprints, which were stored when the secrets were put. A secret
    that was put without a fingerprint, or with another fingerprint key, is `unknown`. The exit code is 7 if there is
    or may be a difference.
    """
    key = load_or_create_key(fingerprint_key_file)
    plan = make_plan(remote, read_declared(file), key)
    plan.show(as_json=as_json, prune=prune)
    if plan.differs(prune=prune):
        sys.exit(DIFFERS)
    if not as_json:
        say(f"{plan.script} matches {'standard input' if file == '-' else file}")
