"""Groups that know their commands' names and help, but load only the one that is called."""

import importlib
from collections.abc import Mapping

import click
from click.shell_completion import CompletionItem

from nightsafe.cli.terminal.suggestion import did_you_mean
from nightsafe.cli.tree import Branch, Leaf, Node


class LazyGroup(click.Group):
    """A group of commands in modules of their own.

    Args:
        nodes: what there is, by name.
        rest: of a click group.
    """

    def __init__(self, nodes: Mapping[str, Node], **rest: object) -> None:
        super().__init__(**rest)  # type: ignore[arg-type]  # passed on as they are
        self.nodes = nodes

    def list_commands(self, _: click.Context) -> list[str]:
        """Every command."""
        return list(self.nodes)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        node = self.nodes.get(cmd_name)
        if node is None:
            return None
        return load(node) if isinstance(node, Leaf) else branch(cmd_name, node)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names.

        Raises:
            click.UsageError: when there is none, with those that may be meant.
        """
        name = args[0]
        if name not in self.nodes and not name.startswith("-") and not ctx.resilient_parsing:
            meant = did_you_mean(name, self.nodes)
            raise click.UsageError(f"No such command {name!r}{f'; {meant}' if meant else '.'}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """The list for `--help`, without loading any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, node.help) for name, node in self.nodes.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin so, without loading any of them."""
        found = [
            CompletionItem(name, help=node.help) for name, node in self.nodes.items() if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)


def branch(name: str, node: Branch) -> LazyGroup:
    """The group of a branch."""
    return LazyGroup(node.children, name=name, help=node.help)


def load(leaf: Leaf) -> click.Command:
    """A command, loaded.

    Raises:
        click.ClickException: when what it needs is not installed.
    """
    try:
        command: click.Command = getattr(importlib.import_module(f"nightsafe.cli.{leaf.module}"), leaf.command)
    except ModuleNotFoundError as error:
        raise click.ClickException(missing(error, leaf.extra)) from None
    return command


def missing(error: ModuleNotFoundError, extra: str) -> str:
    """What to install.

    Raises:
        ModuleNotFoundError: when it is our own that is missing, which is a mistake of ours.
    """
    name = (error.name or "nightsafe").partition(".")[0]
    if name == "nightsafe":
        raise error
    return f"this command needs {name}, which is not installed; run: pip install 'nightsafe[{extra}]'"
