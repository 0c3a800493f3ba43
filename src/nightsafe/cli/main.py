"""`nightsafe`: the commands, each in a module of its own that is loaded when it is called."""

import os
import sys
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nightsafe import __version__
from nightsafe.cli.lazy import LazyGroup
from nightsafe.cli.settings.settings_file import default_map
from nightsafe.cli.terminal.failing import end_refused, refusals
from nightsafe.cli.terminal.output import JSON_WANTED
from nightsafe.cli.tree import TREE
from nightsafe.confining.process import hide

if TYPE_CHECKING:
    import socket


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
    help="A file of settings.  [default: one of your own]",
)
@click.pass_context
def cli(ctx: click.Context, config: Path | None) -> None:
    """Nightsafe: a write-only safe for the secret bindings of Workers scripts.

    A setting is taken from its flag, else from its variable, else from the file.
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False
    ctx.default_map = default_map(config)
    hide()  # nearly every command has a key, a token or a value in its memory


def main(listener: "socket.socket | None" = None) -> None:
    """Run the command line; a refusal is a line on stderr and an exit code that says of which kind it is.

    Args:
        listener: what `serve` is to listen on, instead of a socket that it makes.
    """
    # A command line that is wrong is refused before its options are known.
    JSON_WANTED.set("--json" in takewhile(lambda word: word != "--", sys.argv))
    if "_NIGHTSAFE_COMPLETE" in os.environ:
        from nightsafe.cli import completing  # noqa: PLC0415 - needed then alone

        completing.prepare()
    try:
        code = cli.main(prog_name="nightsafe", obj=listener, standalone_mode=False)
    except refusals() as error:
        code = end_refused(error)
    sys.exit(code)
