"""`nightsafe secret apply`: changes a script's secrets to match a file."""

from pathlib import Path

import click

from nightsafe.cli.secret.fingerprints import load_or_create_key
from nightsafe.cli.secret.losses import confirm_known
from nightsafe.cli.secret.plan import make_plan
from nightsafe.cli.secret.sources.declared import Declared, read_declared
from nightsafe.cli.secret.writing import describe_writes, key_file_option, split_into_requests, write_in_parts
from nightsafe.cli.settings.options import json_option
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.settings.remote_options import write_options
from nightsafe.cli.terminal.confirm import yes_option
from nightsafe.cli.terminal.output import say


@click.command("apply")
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--prune", is_flag=True, help="Delete secrets that are not in the file.")
@click.option("--dry-run", is_flag=True, help="Show the plan but send nothing.")
@click.option("--everything", is_flag=True, help="Put unchanged secrets too.")
@yes_option
@key_file_option
@write_options
@json_option
def command(  # noqa: PLR0913 - one for each option
    *,
    remote: Remote,
    file: str,
    prune: bool,
    dry_run: bool,
    everything: bool,
    yes: bool,
    fingerprint_key_file: Path | None,
    as_json: bool,
) -> None:
    """Change a script's secrets to match a file. `-` is standard input.

    The command puts only secrets that are new, changed or unknown. Without --prune, secrets that are not in the file
    stay.

    Up to 100 changes make one version, all or nothing. More changes make several versions, each all or nothing:
    first all puts, then all deletions. If the command was interrupted, run it again to continue.
    """
    key = load_or_create_key(fingerprint_key_file)
    plan = make_plan(remote, read_declared(file), key)
    changes = plan.changes(prune=prune, everything=everything)
    is_sent = bool(changes) and not dry_run
    if not as_json:
        plan.show(as_json=False, prune=prune)
    if summary := describe_writes(changes):
        say(summary)
    if is_sent:
        confirm_known(plan.script, changes, plan.existing, yes=yes)
        write_in_parts(remote, changes, key)
    if as_json:
        plan.show(as_json=True, prune=prune, applied=is_sent, writes=len(split_into_requests(changes)))
    else:
        say(f"{plan.script}: {_summary(changes)}{'' if is_sent or not changes else ' (dry run)'}")


def _summary(changes: Declared) -> str:
    """Return the numbers of changes, in words."""
    if not changes:
        return "nothing to change"
    put = sum(fields is not None for fields in changes.values())
    return f"{put} put, {len(changes) - put} deleted"
