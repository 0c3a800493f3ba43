"""Groups that know the names and help of their commands but load only the command that you call."""

import importlib
from collections.abc import Mapping

import click
from click.shell_completion import CompletionItem

from nightsafe.cli.terminal.suggestions import did_you_mean
from nightsafe.cli.tree import Branch, Leaf, Node


class LazyGroup(click.Group):
    """A group whose commands are in separate modules.

    Args:
        nodes: the commands and groups, by name.
        options: arguments for `click.Group`.
    """

    def __init__(self, nodes: Mapping[str, Node], **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]  # passed on unchanged
        self.nodes = nodes

    def list_commands(self, _: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(self.nodes)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command with this name, or None."""
        node = self.nodes.get(cmd_name)
        if node is None:
            return None
        return load(node) if isinstance(node, Leaf) else make_group(cmd_name, node)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first word names.

        Raises:
            click.UsageError: if there is no such command; it suggests similar names.
        """
        name = args[0]
        if name not in self.nodes and not name.startswith("-") and not ctx.resilient_parsing:
            suggestion = did_you_mean(name, self.nodes)
            raise click.UsageError(f"No such command {name!r}{f'; {suggestion}' if suggestion else '.'}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands for `--help` without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, node.help) for name, node in self.nodes.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin with the incomplete word, without loading them."""
        found = [
            CompletionItem(name, help=node.help) for name, node in self.nodes.items() if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)


def make_group(name: str, node: Branch) -> LazyGroup:
    """Return the click group of a branch."""
    return LazyGroup(node.children, name=name, help=node.help)


def load(leaf: Leaf) -> click.Command:
    """Load a command.

    Raises:
        click.ClickException: if a library that it needs is not installed.
    """
    try:
        command: click.Command = getattr(importlib.import_module(f"nightsafe.cli.{leaf.module}"), leaf.command)
    except ModuleNotFoundError as error:
        raise click.ClickException(missing_library_message(error, leaf.extra)) from None
    return command


def missing_library_message(error: ModuleNotFoundError, extra: str) -> str:
    """Return a message that says which extra to install.

    Raises:
        ModuleNotFoundError: if the missing module is Nightsafe's own, which is a bug.
    """
    name = (error.name or "nightsafe").partition(".")[0]
    if name == "nightsafe":
        raise error
    return f"this command needs {name}, which is not installed; run: pip install 'nightsafe[{extra}]'"
