"""Lists the claims of SECURITY.md, and the claim of each test in this folder.

Claims are:

- each row of a table. `Claim.text` joins its three cells to "With A, an attacker can B, but cannot C.", without the
  last part when the third cell is empty;
- each sentence of a list item, and of a paragraph after a table or a list in the same section;
- each whole list item in a section of limits.

Text before the first section, and between a heading and the first table or list, is an introduction and claims
nothing. Markdown markers and line breaks do not count. The docstring of a test in this folder begins with its
claim; details may follow after an empty line. A claim may have several tests.
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
    """A claim, and the heading above it."""

    heading: str
    text: str

    @property
    def file(self) -> str:
        """The file for the claim's test: named after the heading, in any folder below the tests of SECURITY.md."""
        name = f"test_{re.sub('[^a-z]+', '_', self.heading.lower())}.py"
        there = next(iter(sorted(TESTS.rglob(name))), TESTS / name)
        return str(there.relative_to(ROOT))


def claims_of(page: str) -> list[Claim]:
    """Return every claim of a page, in the order of the page."""
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
    """Yield the claims of one block."""
    if block.type == "table":
        [body] = [part for part in block.children if part.type == "tbody"]
        yield from map(_row, body.children)
    else:
        for item in block.children if block.type == "bullet_list" else [block]:
            yield from [_text(item)] if as_a_whole else _SENTENCE_END.split(_text(item))


def _row(row: SyntaxTreeNode) -> str:
    """Return a row of a table as a sentence."""
    having, can, cannot = map(_text, row.children)
    return f"With {having}, an attacker can {can}" + (f", but cannot {cannot}." if cannot else ".")


def plain(words: str) -> str:
    """Return a text without Markdown markers, with each run of blanks as one space."""
    return _text(SyntaxTreeNode(_MARKDOWN.parse(words)))


def _text(node: SyntaxTreeNode) -> str:
    """Return the text below a node, without markers."""
    words = [one.content if one.type in {"text", "code_inline"} else " " for one in node.walk() if not one.children]
    return " ".join("".join(words).split())


class Holding(Struct, frozen=True):
    """A test, and the claim with which its docstring begins."""

    test: str
    text: str


def holding(files: Iterable[Path]) -> list[Holding]:
    """Return the tests in some files, with their claims."""
    return [
        Holding(f"{path.name}::{node.name}", plain((ast.get_docstring(node) or "").split("\n\n")[0]))
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]


def complaints(claims: Iterable[Claim], tests: Iterable[Holding]) -> list[str]:
    """Return a message for each claim without a test and each test without a claim; it says what to do."""
    every, held = list(claims), list(tests)
    texts, said = {one.text for one in every}, {one.text for one in held}
    return [
        f'SECURITY.md claims under "{one.heading}": "{one.text}", but no test has this claim: add one to {one.file} '
        "whose docstring begins with this sentence, or correct the sentence"
        for one in every
        if one.text not in said
    ] + [
        f'{one.test} has the claim "{one.text}", which is not in SECURITY.md: begin its docstring with the '
        "sentence of SECURITY.md that it tests"
        for one in held
        if one.text not in texts
    ]
