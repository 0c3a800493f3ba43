"""What SECURITY.md claims, one by one, and the tests that say which claim they hold.

These are claims, in the words of `Claim.text`:

- a row of a table: "With A, an attacker can B, but cannot C." of its three cells; without the last part when its
  third cell is empty;
- a sentence of a list's item, and of a paragraph that comes after a table or a list of its section;
- an item as a whole where the section is one of limits.

What stands before the first section, and between a heading and the first table or list, is an introduction and claims
nothing. Markers of Markdown and line breaks do not count. The docstring of a test in this folder begins with its
claim; what it says in particular may follow after an empty line. A claim may have several tests.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from msgspec import Struct

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = ROOT / "SECURITY.md"
TESTS: Final = Path(__file__).parents[1]

_LIMITS: Final = "Limits"
_MARKDOWN: Final = MarkdownIt("commonmark").enable("table")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+")


class Claim(Struct, frozen=True):
    """One claim, and the heading that it stands under."""

    heading: str
    text: str

    @property
    def file(self) -> str:
        """The file that its test belongs in: the one named after the heading, in whatever folder that is."""
        name = f"test_{re.sub('[^a-z]+', '_', self.heading.lower())}.py"
        there = next(iter(sorted(TESTS.rglob(name))), TESTS / name)
        return str(there.relative_to(ROOT))


def claims_of(page: str) -> list[Claim]:
    """Every claim of a page, in its order."""
    found: list[Claim] = []
    heading, as_a_whole, introduces = "", False, True
    for block in SyntaxTreeNode(_MARKDOWN.parse(page)).children:
        if block.type == "heading":
            heading, introduces = _text(block), True
            if block.tag == "h2":
                as_a_whole = heading.startswith(_LIMITS)
        elif block.type in {"table", "bullet_list"} or not introduces:
            introduces = False
            found += [Claim(heading, text) for text in _claimed(block, as_a_whole=as_a_whole)]
    return found


def _claimed(block: SyntaxTreeNode, *, as_a_whole: bool) -> Iterator[str]:
    """What one block claims."""
    if block.type == "table":
        [body] = [part for part in block.children if part.type == "tbody"]
        yield from map(_row, body.children)
    else:
        for item in block.children if block.type == "bullet_list" else [block]:
            yield from [_text(item)] if as_a_whole else _SENTENCE_END.split(_text(item))


def _row(row: SyntaxTreeNode) -> str:
    """A row of a table as a sentence."""
    having, can, cannot = map(_text, row.children)
    return f"With {having}, an attacker can {can}" + (f", but cannot {cannot}." if cannot else ".")


def plain(words: str) -> str:
    """A text without Markdown's markers, each run of blanks one space."""
    return _text(SyntaxTreeNode(_MARKDOWN.parse(words)))


def _text(node: SyntaxTreeNode) -> str:
    """The words below a node."""
    words = [one.content if one.type in {"text", "code_inline"} else " " for one in node.walk() if not one.children]
    return " ".join("".join(words).split())


class Holding(Struct, frozen=True):
    """A test, and what its docstring begins with."""

    test: str
    text: str


def holding(files: Iterable[Path]) -> list[Holding]:
    """The tests of some files."""
    return [
        Holding(f"{path.name}::{node.name}", plain((ast.get_docstring(node) or "").split("\n\n")[0]))
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]


def complaints(claims: Iterable[Claim], tests: Iterable[Holding]) -> list[str]:
    """What is missing on either side, and what to do about it."""
    every, held = list(claims), list(tests)
    texts, said = {one.text for one in every}, {one.text for one in held}
    return [
        f'SECURITY.md says under "{one.heading}": "{one.text}" and no test holds that: add one to {one.file} whose '
        "docstring is this sentence, or change the sentence to what holds"
        for one in every
        if one.text not in said
    ] + [
        f'{one.test} holds "{one.text}", which SECURITY.md does not say (any more): let its docstring begin with the '
        "sentence that it holds"
        for one in held
        if one.text not in texts
    ]
