"""Files that say what secrets there are to be: a JSON object, or `.env`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nightsafe.cli.secret.sources.dotenv import parse_dotenv
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say

MOST_VALUE_BYTES: Final = 5120
MOST_NAME_BYTES: Final = 2712
MOST_OPERATIONS: Final = 100
_MOST_BYTES: Final = 16 * 1024 * 1024
_MEMBERS: Final = frozenset({"type", "name", "text", "algorithm", "format", "usages", "key_base64", "key_jwk"})

Fields = dict[str, Any]
Declared = dict[str, Fields | None]
"""By name: a secret as the API takes it, or None where there is to be none."""


def read_declared(file: str) -> Declared:
    """What a file, or for `-` standard input, says.

    It is JSON if it can be: an object whose members are strings, null, or a secret as the API takes it. Else it is
    `.env`. What is probably not meant is told on stderr, by name and line.

    Raises:
        CommandError: when it cannot be read, says nothing, or says what no secret can be.
    """
    source = "standard input" if file == "-" else file
    content = _read(file, source)
    try:
        parsed = json.loads(content, object_pairs_hook=_Once)
    except _TwiceError as error:
        raise CommandError(f"{source}: {error.name!r} is there twice") from None
    except (ValueError, RecursionError) as error:
        _refuse_broken_json(content, source, error)
        declared = _from_dotenv(content, source)
    else:
        declared = _from_json(parsed, source)
    if not declared and not isinstance(declared, _Empty):
        raise CommandError(f"{source} says nothing: give a JSON object, or lines of NAME=value")
    check(declared, source)
    return dict(declared)


def check(declared: Mapping[str, Fields | None], source: str) -> None:
    """Refuse what the API would refuse, before anything is sent.

    Raises:
        CommandError: with the names of all that is wrong.
    """
    wrong = [complaint for name, fields in declared.items() if (complaint := _complaint(name, fields))]
    if wrong:
        raise CommandError(f"{source}: {'; '.join(wrong)}; nothing was sent")


def text_fields(value: str) -> Fields:
    """A secret string, but for its name."""
    return {"type": "secret_text", "text": value}


class _Empty(dict[str, Any]):
    """An object without members, which says that there is to be nothing."""


class _TwiceError(ValueError):
    """A member that an object has twice."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class _Once(dict[str, Any]):
    """An object in which no name is there twice: which of the two was meant?"""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__()
        for name, member in pairs:
            if name in self:
                raise _TwiceError(name)
            self[name] = member


def _read(file: str, source: str) -> str:
    """A file's text."""
    try:
        if file == "-":
            content = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        if "=" in file or file.startswith("{"):  # not repeated: it is probably a value
            raise CommandError(
                "there is no such file; a value is never an argument: give `-` and pipe it in"
            ) from None
        raise CommandError(f"{source} cannot be read: {error.strerror}") from None
    if len(content) > _MOST_BYTES:
        raise CommandError(f"{source} is over 16 MiB, and so is no list of secrets")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CommandError(f"{source} is not UTF-8") from None


def _refuse_broken_json(content: str, source: str, error: Exception) -> None:
    """Nothing, unless what is no JSON begins as JSON does: no name in `.env` begins so.

    Raises:
        CommandError: then, with where it goes wrong.
    """
    if content.lstrip()[:1] in {"{", "["}:
        where = f" at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise CommandError(f"{source} begins as JSON and is none{where}; nothing was sent")


def _from_json(parsed: object, source: str) -> Declared:
    """What an object says."""
    if not isinstance(parsed, dict):
        raise CommandError(f"{source}: give a JSON object of names and values")
    if not parsed:
        return _Empty()
    return {name: _member(name, member, source) for name, member in parsed.items()}


def _member(name: str, member: object, source: str) -> Fields | None:
    """One member: a string, null, or a secret."""
    if member is None:
        return None
    if isinstance(member, str):
        return text_fields(member)
    if isinstance(member, dict) and member.get("type") in {"secret_text", "secret_key"}:
        unknown = sorted(member.keys() - _MEMBERS)
        if unknown:
            raise CommandError(f"{source}: {name!r} has members that no secret has: {', '.join(unknown)}")
        if member.get("name", name) != name:
            raise CommandError(f"{source}: {name!r} has another 'name' inside")
        return {field: inner for field, inner in member.items() if field != "name"}
    raise CommandError(f'{source}: {name!r} must be a string, null, or an object with the "type" of a secret')


def _from_dotenv(content: str, source: str) -> Declared:
    """What assignments say."""
    parsed = parse_dotenv(content)
    declared: Declared = {}
    for entry in parsed.entries:
        if entry.name in declared:
            say(f"{source}:{entry.line}: {entry.name} is there twice; the last counts")
        if entry.open_quote:
            say(f"{source}:{entry.line}: {entry.name} begins with a quote that nothing closes; it is taken as it is")
        declared[entry.name] = text_fields(entry.text)
    for line in parsed.skipped if declared else ():
        say(f"{source}:{line}: no assignment; it is passed over")
    return declared


def _complaint(name: str, fields: Fields | None) -> str:
    """What is wrong with one of them, or ""."""
    try:
        size = len(name.encode())
        held = len(str((fields or {}).get("text", "")).encode())
    except UnicodeEncodeError:
        return f"{name!a} is not Unicode text"
    if not name:
        return "a secret has no name"
    if size > MOST_NAME_BYTES:
        return f"a name is over {MOST_NAME_BYTES:,} bytes"
    if held > MOST_VALUE_BYTES:
        return f"{name!r} is over {MOST_VALUE_BYTES:,} bytes"
    return f"{name!r} has {missing}" if (missing := _unusable(fields or {})) else ""


def _unusable(fields: Fields) -> str:
    """The member of a secret that is not of its type, in words, or ""."""
    if fields.get("type") == "secret_text" and not isinstance(fields.get("text"), str):
        return "no 'text', or one that is no string"
    return "" if _is_strings(fields.get("usages", [])) else "'usages' that are no array of strings"


def _is_strings(usages: object) -> bool:
    """Whether it is an array of strings."""
    return isinstance(usages, list) and all(isinstance(one, str) for one in usages)
