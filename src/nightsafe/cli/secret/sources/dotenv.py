"""Parses `.env` and `.dev.vars` like wrangler: by the rules and the regular expression of dotenv 16.3.1.

The character classes are written out, because those of JavaScript and Python differ.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_SPACES: Final = "\\t\\n\\v\\f\\r \\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff"
_ENDS: Final = "\\n\\r\\u2028\\u2029"
_START: Final = rf"(?:(?<=[{_ENDS}])|\A)"
_END: Final = rf"(?=[{_ENDS}]|\Z)"
_LINE: Final = re.compile(
    rf"""{_START}[{_SPACES}]*(?:export[{_SPACES}]+)?([A-Za-z0-9_.-]+)"""
    rf"""(?:[{_SPACES}]*=[{_SPACES}]*?|:[{_SPACES}]+?)"""
    rf"""([{_SPACES}]*'(?:\\'|[^'])*'|[{_SPACES}]*"(?:\\"|[^"])*"|[{_SPACES}]*`(?:\\`|[^`])*`|[^#\r\n]+)?"""
    rf"""[{_SPACES}]*(?:\#[^{_ENDS}]*)?{_END}"""
)
_QUOTED: Final = re.compile(rf"""{_START}(['"`])([\s\S]*)\1{_END}""")
_STRIPPED: Final = (
    "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f"
    "\u3000\ufeff"
)
_QUOTES: Final = frozenset("'\"`")


class Assignment(NamedTuple):
    """One assignment.

    Attributes:
        name: the variable's name.
        text: the value.
        line: number of its first line, from 1.
        open_quote: whether the value begins with an unclosed quote, which is rarely intended.
    """

    name: str
    text: str
    line: int
    open_quote: bool

    def __repr__(self) -> str:
        """Return a text without the value."""
        return f"Entry({self.name!r}, line={self.line})"


class DotEnv(NamedTuple):
    """A parsed file.

    Attributes:
        assignments: the assignments in order; if a name occurs twice, the last one counts.
        skipped: numbers of lines that are neither an assignment, nor empty, nor a comment.
    """

    assignments: list[Assignment]
    skipped: list[int]


def parse_dotenv(content: str) -> DotEnv:
    """Parse the content of a file."""
    lines = re.sub(r"\r\n?", "\n", content)
    assignments: list[Assignment] = []
    skipped: list[int] = []
    end = 0
    for match in _LINE.finditer(lines):
        skipped += _stray_lines(lines, end, match.start())
        assignments.append(_assignment(match, _line_number(lines, match.start(1))))
        end = match.end()
    skipped += _stray_lines(lines, end, len(lines))
    return DotEnv(assignments, skipped)


def _assignment(match: re.Match[str], line: int) -> Assignment:
    """Return one assignment, with quotes removed and, within double quotes, escaped line breaks replaced."""
    raw = (match[2] or "").strip(_STRIPPED)
    first = raw[:1]
    unquoted = _QUOTED.sub(lambda quoted: quoted[2], raw)
    open_quote = first in _QUOTES and unquoted == raw
    if first == '"':
        unquoted = unquoted.replace("\\n", "\n").replace("\\r", "\r")
    return Assignment(match[1], unquoted, line, open_quote)


def _stray_lines(lines: str, start: int, end: int) -> Iterator[int]:
    """Yield the numbers of lines between two assignments that are neither empty nor comments."""
    number = _line_number(lines, start)
    for offset, line in enumerate(lines[start:end].split("\n")):
        text = line.strip(_STRIPPED)
        if text and not text.startswith("#"):
            yield number + offset


def _line_number(lines: str, position: int) -> int:
    """Return the line number of a position, from 1."""
    return lines.count("\n", 0, position) + 1
