"""`nightsafe`: the commands, each in a module of its own that is loaded when it is called."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nightsafe import __version__
from nightsafe.cli.lazy import LazyGroup, missing
from nightsafe.cli.settings_file import default_map
from nightsafe.cli.tree import TREE
from nightsafe.errors import NightsafeError

if TYPE_CHECKING:
    import socket

    from nightsafe.client import APIError


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
    help="A file of settings.  [default: nightsafe.toml, if there is one]",
)
@click.pass_context
def cli(ctx: click.Context, config: Path | None) -> None:
    """Nightsafe: a write-only safe for the secret bindings of Workers scripts.

    A setting is taken from its flag, else from its variable, else from the file.
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False
    ctx.default_map = default_map(config)


def main(listener: "socket.socket | None" = None) -> None:
    """Run the command line; a refusal is a line on stderr and an exit code that says of which kind it is.

    Args:
        listener: what `serve` is to listen on, instead of a socket that it makes.
    """
    try:
        cli(prog_name="nightsafe", obj=listener)
    except NightsafeError as error:
        for problem in error.problems:
            click.echo(f"nightsafe: {problem.detail or problem.code}", err=True)
        sys.exit(1)
    except ModuleNotFoundError as error:  # by a command that loads what it needs when it runs: they serve
        sys.exit(f"nightsafe: {missing(error, 'server')}")
    except _refusals() as error:
        from nightsafe.cli.refusal import told  # noqa: PLC0415 - only where there is a client

        sys.exit(told(error))


def _refusals() -> tuple[type["APIError"], ...]:
    """What a client raises when it is refused; nothing where no client was loaded."""
    errors = sys.modules.get("nightsafe.client.errors")
    return () if errors is None else (errors.APIError,)
