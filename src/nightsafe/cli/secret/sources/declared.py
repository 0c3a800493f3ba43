"""Files that declare secrets: a JSON object, or `.env`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nightsafe.cli.secret.sources.dotenv import parse_dotenv
from nightsafe.cli.terminal.errors import CommandError
from nightsafe.cli.terminal.output import say

# The limits of the API. The command line can be installed without the server, which would load slowly here.
MAX_VALUE_BYTES: Final = 5120
MAX_NAME_BYTES: Final = 2712
MAX_OPERATIONS: Final = 100
_MAX_BYTES: Final = 16 * 1024 * 1024
_MEMBERS: Final = frozenset({"type", "name", "text", "algorithm", "format", "usages", "key_base64", "key_jwk"})

Fields = dict[str, Any]
Declared = dict[str, Fields | None]
"""By name: a secret in the API's form, or None for a secret that should not exist."""


def read_declared(file: str) -> Declared:
    """Read the secrets declared in a file; `-` is standard input.

    If the content parses as JSON, it must be an object. Its members are strings, null, or secrets in the API's form.
    Any other content is `.env`. Probable mistakes are reported on stderr, by name and line.

    Raises:
        CommandError: if the file cannot be read, declares nothing, or declares an impossible secret.
    """
    source = "standard input" if file == "-" else file
    content = _read(file, source)
    try:
        parsed = json.loads(content, object_pairs_hook=_UniqueMembers)
    except _DuplicateMemberError as error:
        raise CommandError(f"{source}: {error.name!r} occurs twice; remove one of the two") from None
    except (ValueError, RecursionError) as error:
        _refuse_broken_json(content, source, error)
        declared = _from_dotenv(content, source)
    else:
        declared = _from_json(parsed, source)
    if not declared and not isinstance(declared, _EmptyObject):
        raise CommandError(f"{source} declares nothing: give a JSON object, or lines of NAME=value")
    check_declared(declared, source)
    return dict(declared)


def check_declared(declared: Mapping[str, Fields | None], source: str) -> None:
    """Refuse secrets that the API would refuse, before anything is sent.

    Raises:
        CommandError: with the name and problem of each such secret.
    """
    problems = [problem for name, fields in declared.items() if (problem := _problem_of(name, fields))]
    if problems:
        raise CommandError(f"{source}: {'; '.join(problems)}; nothing was sent")


def text_fields(value: str) -> Fields:
    """Return the fields of a text secret, without its name."""
    return {"type": "secret_text", "text": value}


class _EmptyObject(dict[str, Any]):
    """The secrets of an empty JSON object, which declares that a script should have no secrets."""


class _DuplicateMemberError(ValueError):
    """A JSON object has a member twice."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class _UniqueMembers(dict[str, Any]):
    """A JSON object that refuses duplicate names, because the intended one is unknown."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__()
        for name, member in pairs:
            if name in self:
                raise _DuplicateMemberError(name)
            self[name] = member


def _read(file: str, source: str) -> str:
    """Read a file's text."""
    try:
        if file == "-":
            content = sys.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(_MAX_BYTES + 1)
    except OSError as error:
        if "=" in file or file.startswith("{"):  # the message does not repeat it, as it is probably a value
            raise CommandError(
                "there is no such file; a value is never an argument: give `-` and pipe the value in"
            ) from None
        raise CommandError(f"{source} cannot be read: {error.strerror}") from None
    if len(content) > _MAX_BYTES:
        raise CommandError(f"{source} is over 16 MiB, which is too large for a list of secrets")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CommandError(f"{source} is not UTF-8") from None


def _refuse_broken_json(content: str, source: str, error: Exception) -> None:
    """Refuse invalid JSON that begins with `{` or `[`, because no name in `.env` begins so.

    Raises:
        CommandError: with the position of the error.
    """
    if content.lstrip()[:1] in {"{", "["}:
        where = f" at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise CommandError(f"{source} begins like JSON but is invalid{where}; nothing was sent")


def _from_json(parsed: object, source: str) -> Declared:
    """Read the secrets of a JSON object."""
    if not isinstance(parsed, dict):
        raise CommandError(f"{source}: give a JSON object of names and values")
    if not parsed:
        return _EmptyObject()
    return {name: _member(name, member, source) for name, member in parsed.items()}


def _member(name: str, member: object, source: str) -> Fields | None:
    """Read one member: a string, null, or a secret."""
    if member is None:
        return None
    if isinstance(member, str):
        return text_fields(member)
    if isinstance(member, dict) and member.get("type") in {"secret_text", "secret_key"}:
        unknown = sorted(member.keys() - _MEMBERS)
        if unknown:
            raise CommandError(f"{source}: {name!r} has unknown members: {', '.join(unknown)}")
        if member.get("name", name) != name:
            raise CommandError(f"{source}: {name!r} has a different 'name' inside")
        return {field: inner for field, inner in member.items() if field != "name"}
    raise CommandError(f'{source}: {name!r} must be a string, null, or an object with the "type" of a secret')


def _from_dotenv(content: str, source: str) -> Declared:
    """Read the secrets of `.env` assignments."""
    parsed = parse_dotenv(content)
    declared: Declared = {}
    for assignment in parsed.assignments:
        if assignment.name in declared:
            say(f"{source}:{assignment.line}: {assignment.name} occurs twice; the last one counts")
        if assignment.open_quote:
            name = assignment.name
            say(f"{source}:{assignment.line}: {name} begins with an unclosed quote, which stays in the value")
        declared[assignment.name] = text_fields(assignment.text)
    for line in parsed.skipped if declared else ():
        say(f"{source}:{line}: not an assignment; ignored")
    return declared


def _problem_of(name: str, fields: Fields | None) -> str:
    """Return the problem of one secret, or ""."""
    try:
        name_size = len(name.encode())
        value_size = len(str((fields or {}).get("text", "")).encode())
    except UnicodeEncodeError:
        return f"{name!a} is not Unicode text"
    if not name:
        return "a secret has no name"
    if name_size > MAX_NAME_BYTES:
        return f"a name is over {MAX_NAME_BYTES:,} bytes"
    if value_size > MAX_VALUE_BYTES:
        return f"{name!r} is over {MAX_VALUE_BYTES:,} bytes"
    return f"{name!r} has {problem}" if (problem := _type_problem(fields or {})) else ""


def _type_problem(fields: Fields) -> str:
    """Return a message about a member of the wrong type, or ""."""
    if fields.get("type") == "secret_text" and not isinstance(fields.get("text"), str):
        return "no 'text', or one that is not a string"
    return "" if _is_strings(fields.get("usages", [])) else "'usages' that are not an array of strings"


def _is_strings(usages: object) -> bool:
    """Return whether a value is an array of strings."""
    return isinstance(usages, list) and all(isinstance(item, str) for item in usages)
