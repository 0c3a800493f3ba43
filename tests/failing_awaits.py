"""Makes each `await` of a module fail in turn: the module is compiled again, with a call around each of them."""

import ast
import importlib
import inspect
from collections.abc import Awaitable, Collection
from contextlib import suppress
from types import ModuleType
from typing import Any, Literal

Moment = Literal["before", "after"]
"""Whether the error comes before or after the awaited work."""


class Boom(Exception):  # noqa: N818 - the name says enough
    """An error that nobody expects."""


class Thrower:
    """Makes a chosen await fail, once.

    Attributes:
        struck: whether the await has failed.
    """

    def __init__(self) -> None:
        self._left: tuple[int, Moment, BaseException] | None = None
        self.struck = False

    def arm(self, number: int, moment: Moment, error: BaseException) -> None:
        """Make this await fail the next time that it is reached."""
        self._left, self.struck = (number, moment, error), False

    def heal(self) -> None:
        """Let every await succeed."""
        self._left = None

    async def awaited(self, number: int, awaitable: Awaitable[Any]) -> Any:
        """Await as the module would, or fail."""
        if self._left is None or self._left[0] != number:
            return await awaitable
        (_, moment, error), self._left, self.struck = self._left, None, True
        if moment == "after":
            with suppress(Exception):  # one error is enough
                await awaitable
        elif inspect.iscoroutine(awaitable):
            awaitable.close()
        raise error


class _Rewriter(ast.NodeTransformer):
    """Puts a call around each awaited expression."""

    def __init__(self, but: Collection[str], only: Collection[str]) -> None:
        self.lines: list[int] = []
        self._but = but
        self._only = only

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        """Rewrite a function, unless it is not part of the task."""
        spared = node.name in self._but or (self._only and node.name not in self._only)
        return node if spared else self.generic_visit(node)

    def visit_Await(self, node: ast.Await) -> ast.AST:
        """Rewrite an await, and those inside it."""
        self.generic_visit(node)
        number = ast.Constant(len(self.lines))
        self.lines.append(node.lineno)
        node.value = ast.Call(ast.Name("__awaited__", ast.Load()), [number, node.value], [])
        return ast.fix_missing_locations(node)


def awaits_of(name: str, but: Collection[str] = (), only: Collection[str] = ()) -> list[int]:
    """Return the lines of a module's awaits: of all functions except `but`, or of `only` those."""
    rewriter = _Rewriter(but, only)
    rewriter.visit(ast.parse(inspect.getsource(importlib.import_module(name))))
    return rewriter.lines


def thrown(name: str, thrower: Thrower, but: Collection[str] = (), only: Collection[str] = ()) -> ModuleType:
    """Return a copy of a module whose awaits ask a thrower: those that `awaits_of` names."""
    original = importlib.import_module(name)
    tree = _Rewriter(but, only).visit(ast.parse(inspect.getsource(original)))
    module = ModuleType(name)
    module.__dict__.update({"__file__": original.__file__, "__awaited__": thrower.awaited})
    exec(compile(tree, str(original.__file__), "exec"), module.__dict__)  # noqa: S102 - our own source
    return module
