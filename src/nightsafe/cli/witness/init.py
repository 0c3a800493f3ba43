"""`nightsafe audit witness init`: creates a witness."""

from pathlib import Path

import click

from nightsafe.cli.settings.options import json_option
from nightsafe.cli.terminal.output import say, show_json
from nightsafe.cli.witness.folder import WitnessFolder, folder_option
from nightsafe.merkle.verifier_key import is_key_name


def _check_name(_: click.Context, __: click.Parameter, value: str) -> str:
    """Refuse a name that a signed note cannot have."""
    if "://" in value:
        raise click.BadParameter("give the name without a scheme such as https://, like witness.example/w1")
    if not is_key_name(value):
        raise click.BadParameter("give a name without spaces and plus signs, such as witness.example/w1")
    return value


@click.command("init")
@folder_option
@click.option("--name", required=True, callback=_check_name, help="Name of the witness, such as witness.example/w1.")
@json_option
def command(*, folder: Path, name: str, as_json: bool) -> None:
    """Create a witness with a key of its own.

    The command prints the witness's verifier key, which `serve --witness` and `deliver --witness-keys` take. Then add
    the verifier key of each log to the list of logs.
    """
    place = WitnessFolder(folder)
    key = place.create(name).verifier_key.encode()
    if as_json:
        show_json({"verifier_key": key, "logs": str(place.logs_file)})
        return
    click.echo(key)
    say(f"Add each log's verifier key to {place.logs_file}, then run: nightsafe audit witness serve --dir {folder}")
