"""`nightsafe`: the root of the commands. Each command has its own module, which is loaded when you call it."""

import os
import sys
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nightsafe import __version__
from nightsafe.cli.lazy import LazyGroup
from nightsafe.cli.settings.settings_file import default_map
from nightsafe.cli.terminal.output import JSON_WANTED
from nightsafe.cli.terminal.refusals import refusal_types, report_refusal
from nightsafe.cli.tree import TREE
from nightsafe.confinement.process import hide

if TYPE_CHECKING:
    from nightsafe.cli.server.workers.inherited import Inherited


@click.group(
    cls=LazyGroup,
    nodes=TREE,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="nightsafe")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="NIGHTSAFE_CONFIG",
    help="A settings file.  [default: your own]",
)
@click.pass_context
def cli(ctx: click.Context, config: Path | None) -> None:
    """Nightsafe: a write-only safe for the secret bindings of Workers scripts.

    A flag overrides its environment variable, and the variable overrides the settings file.
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False
    ctx.default_map = default_map(config)
    hide()  # nearly every command holds a key, a token or a value in memory


def main(inherited: "Inherited | None" = None) -> None:
    """Run the command line. A refusal prints lines to stderr and sets an exit code for its kind.

    Args:
        inherited: what the parent of an API process gave to `serve`; None for any other process.
    """
    # A wrong command line is refused before its options are parsed.
    JSON_WANTED.set("--json" in takewhile(lambda word: word != "--", sys.argv))
    if "_NIGHTSAFE_COMPLETE" in os.environ:
        from nightsafe.cli import completing

        completing.prepare()
    try:
        code = cli.main(prog_name="nightsafe", obj=inherited, standalone_mode=False)
    except refusal_types() as error:
        code = report_refusal(error)
    sys.exit(code)
