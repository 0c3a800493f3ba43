"""`nightsafe`: the commands, each in a module of its own that is loaded when it is called."""

import importlib
import sys
from pathlib import Path
from typing import Any

import click

from nightsafe import __version__
from nightsafe.errors import NightsafeError

COMMANDS = {
    "init": "Make a new safe.",
    "serve": "Serve the API of a safe.",
    "token": "Make, list, roll and revoke API tokens.",
    "account": "Make and list accounts.",
    "user": "Make users.",
}
_SUBCOMMANDS = {
    "token": ("create", "list", "roll", "revoke"),
    "account": ("create", "list"),
    "user": ("create",),
}


class _LazyGroup(click.Group):
    """Knows every command's name and help, but loads only the one that is called."""

    def list_commands(self, _: click.Context) -> list[str]:
        """Every command."""
        return list(COMMANDS)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"nightsafe.cli.{cmd_name}").command
        return command

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """The list for `--help`, without loading any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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

    A setting is taken from its flag, else from its NIGHTSAFE_* variable, else from the file.
    """
    ctx.default_map = _default_map(config)


def _default_map(config: Path | None) -> dict[str, Any]:
    """The file's settings, offered to every command."""
    path = config or Path("nightsafe.toml")
    if config is None and not path.exists():
        return {}
    import tomllib  # noqa: PLC0415 - most calls have no file

    try:
        settings = tomllib.loads(path.read_text())
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise click.ClickException(f"{path} is not TOML") from None
    unknown = sorted(settings.keys() - _setting_names())
    if unknown:
        raise click.ClickException(f"{path} has no such setting: {', '.join(unknown)}")
    return dict.fromkeys(COMMANDS, settings) | {
        group: dict.fromkeys(commands, settings) for group, commands in _SUBCOMMANDS.items()
    }


def _setting_names() -> set[str]:
    """Every option that any command takes."""
    commands = [importlib.import_module(f"nightsafe.cli.{name}").command for name in COMMANDS]
    leaves = [leaf for one in commands for leaf in (one.commands.values() if isinstance(one, click.Group) else [one])]
    return {parameter.name for leaf in leaves for parameter in leaf.params if parameter.name}


def main() -> None:
    """Run the command line; a refusal is one line on stderr and exit code 1."""
    try:
        cli()
    except NightsafeError as error:
        for problem in error.problems:
            click.echo(f"nightsafe: {problem.detail or problem.code}", err=True)
        sys.exit(1)
