"""Analysis of the commands' source: the functions that each command calls, starting from the table of commands."""

import ast
import inspect
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import click

from nightsafe.cli.lazy import load
from nightsafe.cli.tree import leaves

CLI = Path(str(find_spec("nightsafe.cli").submodule_search_locations[0]))  # type: ignore[union-attr, index]


@cache
def parsed(path: Path) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(path.read_text())


def calls(tree: ast.AST) -> set[str]:
    """Return the names that are called or passed on in a syntax tree."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def reached(module: str, function: str) -> set[str]:
    """Return all names in a function, and in the functions of its module that it uses, directly or not."""
    tree = parsed(Path(str(find_spec(module).origin)))  # type: ignore[union-attr]
    own = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    found: set[str] = set()
    left = [function]
    while left:
        names = calls(own[left.pop()]) - found
        found |= names
        left += [name for name in names if name in own]
    return found


def commands_that_name(name: str) -> set[str]:
    """Return the commands that use a function of this name, within their own module."""
    return {words for words, command in every_command() if name in _names_of(command)}


def every_command() -> list[tuple[str, click.Command]]:
    """Return each command with its full name."""
    found = []
    for words, leaf in leaves():
        command = load(leaf)
        inner = command.commands if isinstance(command, click.Group) else {"": command}
        found += [(" ".join((*words, name)).strip(), subcommand) for name, subcommand in inner.items()]
    return found


def _names_of(command: click.Command) -> set[str]:
    """Return all names that a command's function uses."""
    assert command.callback is not None
    function = inspect.unwrap(command.callback)
    return reached(function.__module__, function.__name__)
