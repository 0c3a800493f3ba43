"""The docstrings of the source name only members that exist."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.flows import SOURCE

_MEMBER = re.compile(r"`([A-Z]\w+)\.(\w+)(?:\(\))?`")
_ATTRIBUTES = re.compile(r"^ *Attributes:\n((?:.+\n|\n(?= ))*)", re.MULTILINE)
_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@functools.cache
def _trees() -> list[tuple[Path, ast.Module]]:
    """Return each file of the source, parsed."""
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in sorted(SOURCE.rglob("*.py"))]


@functools.cache
def _members(node: ast.ClassDef) -> set[str]:
    """Return the members that a class defines in its body or sets on `self`."""
    attributes = [
        part for part in ast.walk(node) if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)
    ]
    names = {part.attr for part in attributes if isinstance(part.value, ast.Name) and part.value.id == "self"}
    for part in node.body:
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(part.name)
        elif isinstance(part, ast.AnnAssign | ast.Assign):
            targets = [part.target] if isinstance(part, ast.AnnAssign) else part.targets
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


@functools.cache
def _classes() -> dict[str, list[ast.ClassDef]]:
    """Return the classes of the source by name."""
    classes: dict[str, list[ast.ClassDef]] = {}
    for _, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                classes.setdefault(node.name, []).append(node)
    return classes


def _all_members(node: ast.ClassDef) -> set[str]:
    """Return the members of a class and of its base classes in the source."""
    bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
    inherited = (_all_members(parent) for base in bases for parent in _classes().get(base, ()))
    return _members(node).union(*inherited)


def _docstrings(tree: ast.Module) -> Iterator[tuple[_Documented, str]]:
    """Yield each part of a file that has a docstring, with the docstring."""
    for node in ast.walk(tree):
        if isinstance(node, _Documented):
            text = ast.get_docstring(node)
            if text is not None:
                yield node, text


@pytest.mark.heavy
def test_members_in_docstrings_exist() -> None:
    """Each `Class.member` in a docstring is a member of that class, if the source defines the class."""
    missing = [
        f"{path.relative_to(SOURCE)}: {name}.{member}"
        for path, tree in _trees()
        for _, text in _docstrings(tree)
        for name, member in _MEMBER.findall(text)
        if name in _classes() and all(member not in _all_members(node) for node in _classes()[name])
    ]

    assert [] == missing


@pytest.mark.heavy
def test_documented_attributes_exist() -> None:
    """Each name under `Attributes:` in the docstring of a class is a member of that class."""
    missing = [
        f"{path.relative_to(SOURCE)}: {node.name}.{name}"
        for path, tree in _trees()
        for node, text in _docstrings(tree)
        if isinstance(node, ast.ClassDef)
        for section in _ATTRIBUTES.findall(f"{text}\n")
        for names in re.findall(r"^    (\w[\w, ]*):", section, re.MULTILINE)
        for name in names.split(", ")
        if name not in _all_members(node)
    ]

    assert [] == missing
