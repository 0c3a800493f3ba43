"""Lets each `await` of a module fail in turn: the module is compiled anew, with every one of them in our hands."""

import ast
import importlib
import inspect
from collections.abc import Awaitable, Collection
from contextlib import suppress
from types import ModuleType
from typing import Any, Literal

Moment = Literal["before", "after"]
"""Whether what is awaited is done first."""


class Boom(Exception):  # noqa: N818 - that is all there is to say of it
    """What nobody expects."""


class Thrower:
    """Decides which await fails, once.

    Attributes:
        struck: whether it has failed.
    """

    def __init__(self) -> None:
        self._left: tuple[int, Moment, BaseException] | None = None
        self.struck = False

    def arm(self, number: int, moment: Moment, error: BaseException) -> None:
        """Let this await fail the next time that it is come to."""
        self._left, self.struck = (number, moment, error), False

    def heal(self) -> None:
        """Let all succeed."""
        self._left = None

    async def awaited(self, number: int, awaitable: Awaitable[Any]) -> Any:
        """What stands in the place of an awaitable."""
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
    """Puts a call around whatever is awaited."""

    def __init__(self, but: Collection[str], only: Collection[str]) -> None:
        self.lines: list[int] = []
        self._but = but
        self._only = only

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        """One function; those that are no part of the task stay as they are."""
        spared = node.name in self._but or (self._only and node.name not in self._only)
        return node if spared else self.generic_visit(node)

    def visit_Await(self, node: ast.Await) -> ast.AST:
        """One await, and those in it."""
        self.generic_visit(node)
        number = ast.Constant(len(self.lines))
        self.lines.append(node.lineno)
        node.value = ast.Call(ast.Name("__awaited__", ast.Load()), [number, node.value], [])
        return ast.fix_missing_locations(node)


def awaits_of(name: str, but: Collection[str] = (), only: Collection[str] = ()) -> list[int]:
    """The lines of a module's awaits: of all functions but some, or of some only."""
    rewriter = _Rewriter(but, only)
    rewriter.visit(ast.parse(inspect.getsource(importlib.import_module(name))))
    return rewriter.lines


def thrown(name: str, thrower: Thrower, but: Collection[str] = (), only: Collection[str] = ()) -> ModuleType:
    """A module like the one of that name, whose awaits ask a thrower: those that `awaits_of` names."""
    original = importlib.import_module(name)
    tree = _Rewriter(but, only).visit(ast.parse(inspect.getsource(original)))
    module = ModuleType(name)
    module.__dict__.update({"__file__": original.__file__, "__awaited__": thrower.awaited})
    exec(compile(tree, str(original.__file__), "exec"), module.__dict__)  # noqa: S102 - our own source
    return module
