"""What the log may say in a script's own words: nothing, unless the operator wants to see what scripts print.

A script chooses the name of what it throws and writes its own stack; it calls a function, a host or a request as it
likes. Any of these may be a value. So what is told can be no text of its own.
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
"""Names of errors that the language and the web platform have."""

_REQUEST: Final = re.compile(r"[0-9a-f]{16}-LOCAL")
_PLACE: Final = re.compile(r"(?:^at |[ (])(?:file:///bundle/)?([^ ()]+)(:\d{1,7}:\d{1,7})\)?$")


def kind_of(name: str) -> str:
    """The kind of an error, if it is one that there is; else just that it is one."""
    return name if name in _KINDS else "Error"


def request_of(ray: str) -> str:
    """The id of a request, if it looks like those that are given out here; else none."""
    return ray if _REQUEST.fullmatch(ray) else ""


def places(stack: Iterable[str], modules: Collection[str]) -> Iterator[str]:
    """Where something was thrown: lines of a script's modules, and not what it calls its functions."""
    for line in stack:
        found = _PLACE.search(line)
        if found is None:
            continue
        name = found[1] if found[1] in modules else unquote(found[1])
        if name in modules:
            yield f"at {name}{found[2]}"
