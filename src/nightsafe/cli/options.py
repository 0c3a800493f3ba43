"""Options that several commands share."""

from pathlib import Path

import click

_CENTURY = 100 * 366 * 24 * 60 * 60


def is_text(value: str) -> bool:
    """Whether an argument was UTF-8: what was not holds half surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_text(_: click.Context, __: click.Parameter, value: str) -> str:
    """Refuse an argument that was not UTF-8."""
    if not is_text(value):
        raise click.BadParameter("give UTF-8 text")
    return value


seconds_type = click.IntRange(1, _CENTURY)
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
