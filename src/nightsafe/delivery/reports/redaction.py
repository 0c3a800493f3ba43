"""Keeps texts of scripts out of the log, unless the operator wants to see what scripts print.

A script chooses the names of the errors that it throws and can write its own stack. It also chooses the names of
functions, hosts and requests. Each of these texts may be a value, so the log may contain none of them.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final
from urllib.parse import unquote

_KINDS: Final = frozenset(
    {
        "AggregateError", "Error", "EvalError", "RangeError", "ReferenceError", "SyntaxError", "TypeError",
        "URIError", "AbortError", "ConstraintError", "DataCloneError", "DataError", "EncodingError", "IndexSizeError",
        "InvalidAccessError", "InvalidCharacterError", "InvalidModificationError", "InvalidNodeTypeError",
        "InvalidStateError", "NamespaceError", "NetworkError", "NotAllowedError", "NotFoundError",
        "NotReadableError", "NotSupportedError", "OperationError", "QuotaExceededError", "SecurityError",
        "TimeoutError", "TypeMismatchError", "URLMismatchError", "UnknownError", "WrongDocumentError",
    }
)  # fmt: skip
"""Names of errors that the language and the web platform define."""

_REQUEST: Final = re.compile(r"[0-9a-f]{16}-LOCAL")
_POSITION: Final = re.compile(r"(?:^at |[ (])(?:file:///bundle/)?([^ ()]+)(:\d{1,7}:\d{1,7})\)?$")


def known_kind(name: str) -> str:
    """Return the name of an error if the platform defines it, otherwise just "Error"."""
    return name if name in _KINDS else "Error"


def known_request_id(ray: str) -> str:
    """Return the id of a request if it has the format of Nightsafe's ids, otherwise ""."""
    return ray if _REQUEST.fullmatch(ray) else ""


def known_positions(stack: Iterable[str], modules: Collection[str]) -> Iterator[str]:
    """Yield the places in a script's modules where an error was thrown, without the names of functions."""
    for line in stack:
        match = _POSITION.search(line)
        if match is None:
            continue
        name = match[1] if match[1] in modules else unquote(match[1])
        if name in modules:
            yield f"at {name}{match[2]}"
