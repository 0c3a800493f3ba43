"""What the commands' own source says of them: which functions lead to which, from the table of commands on."""

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
    """A module's source."""
    return ast.parse(path.read_text())


def calls(tree: ast.AST) -> set[str]:
    """The names that are called, or handed to somebody, within it."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def reached(module: str, function: str) -> set[str]:
    """All that a function of a module names, and the functions of the same module that it names, and so on."""
    tree = parsed(Path(str(find_spec(module).origin)))  # type: ignore[union-attr]
    own = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
    found: set[str] = set()
    left = [function]
    while left:
        names = calls(own[left.pop()]) - found
        found |= names
        left += [name for name in names if name in own]
    return found


def commands_that_name(name: str) -> set[str]:
    """The commands that come to a function by this name, within the module that they are in."""
    return {words for words, command in every_command() if name in _names_of(command)}


def every_command() -> list[tuple[str, click.Command]]:
    """Each command with its words."""
    found = []
    for words, leaf in leaves():
        command = load(leaf)
        inner = command.commands if isinstance(command, click.Group) else {"": command}
        found += [(" ".join((*words, name)).strip(), one) for name, one in inner.items()]
    return found


def _names_of(command: click.Command) -> set[str]:
    """All that its function comes to."""
    assert command.callback is not None
    function = inspect.unwrap(command.callback)
    return reached(function.__module__, function.__name__)
