"""Options that several commands share."""

from pathlib import Path

import click

data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".nightsafe"),
    envvar="NIGHTSAFE_DATA",
    show_envvar=True,
    show_default=True,
    help="The data directory.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
