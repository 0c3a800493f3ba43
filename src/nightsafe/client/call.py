"""Describes one call of the API before it is sent: method, path, query, body, and how to read the answer."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from nightsafe.client.not_given import Headers, Omit, Query, RequestOptions, omit
from nightsafe.client.timeouts import TimeoutLike

T = TypeVar("T")

JSON: Final = b"application/json"
_SAFE: Final = "!$&'()*+,;=:@"
_DOTS: Final = frozenset({".", ".."})


class Call(Struct, Generic[T], frozen=True, kw_only=True):
    """A call. It can be sent any number of times."""

    method: str
    """The method, in capitals."""
    path: str
    """The encoded path below the base URL."""
    read: Callable[[bytes], T]
    """Reads the result from an answer's body."""
    query: Query = {}
    """Parameters by name. Those with the value `omit` are left out."""
    content: bytes | None = None
    """The body, or None."""
    content_type: bytes = JSON
    """The Content-Type of the body."""
    headers: Headers | None = None
    """Headers for this call only."""
    timeout: float | TimeoutLike | Omit | None = omit
    """The timeout in seconds, or `omit` for the client's own."""


class ScriptLocation(Struct, frozen=True):
    """A script that secrets belong to: a script of an account, or of a dispatch namespace."""

    account_id: str
    script: str
    namespace: str = ""

    @property
    def path(self) -> str:
        """Return the script's path.

        Raises:
            ValueError: when a name is empty, or cannot be a path segment.
        """
        account = f"/accounts/{segment('account_id', self.account_id)}/workers"
        script = segment("script_name", self.script)
        if not self.namespace:
            return f"{account}/scripts/{script}"
        return f"{account}/dispatch/namespaces/{segment('dispatch_namespace', self.namespace)}/scripts/{script}"


def location_in_namespace(account_id: str, namespace: str, script: str) -> ScriptLocation:
    """Return the place of a script in a dispatch namespace.

    Raises:
        ValueError: when the namespace's name is empty, because that would mean a script outside of namespaces.
    """
    segment("dispatch_namespace", namespace)
    return ScriptLocation(account_id, script, namespace)


def segment(argument: str, name: str) -> str:
    """Return a name as one segment of a path. It is encoded once, including any slash in it.

    Args:
        argument: the name of the argument, for the error.
        name: the value of the argument.

    Raises:
        ValueError: when the name is empty, `.` or `..`. Encoding does not help against the last two.
    """
    if not name:
        raise ValueError(f"Expected a non-empty value for `{argument}` but received {name!r}")
    if name in _DOTS:
        raise ValueError(f"`{argument}` is {name!r}, which cannot be in a path: servers and proxies remove it")
    return quote(name, safe=_SAFE)


def without_omitted(**fields: object) -> dict[str, Any]:
    """Return the fields that are not `omit`."""
    return {name: field for name, field in fields.items() if not isinstance(field, Omit)}


def make_call(  # noqa: PLR0913 - the sides of a call
    method: str,
    path: str,
    read: Callable[[bytes], T],
    options: RequestOptions,
    *,
    query: Query | None = None,
    body: Mapping[str, object] | None = None,
    headers: Headers | None = None,
) -> Call[T]:
    """Return a call with a JSON body or without a body, plus the extra headers, query and body in the options."""
    extra = options.get("extra_body")
    if extra:
        body = {**(body or {}), **extra}
    return Call(
        method=method,
        path=path,
        read=read,
        query=_merged(query, options.get("extra_query")),
        content=None if body is None else msgspec.json.encode(body),
        headers=_merged(headers, options.get("extra_headers")) or None,
        timeout=options.get("timeout", omit),
    )


def encode_query(*layers: Query) -> str:
    """Return a query string. Later layers take precedence, and a list repeats its parameter."""
    merged = {name: value for layer in layers for name, value in layer.items() if not isinstance(value, Omit)}
    return urlencode({name: _query_value(value) for name, value in merged.items()}, doseq=True)


def _query_value(value: object) -> object:
    """Return one parameter in the form that the API reads."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return [_query_value(item) for item in value] if isinstance(value, list | tuple) else str(value)


def _merged(own: Mapping[str, Any] | None, extra: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Merge two mappings; the second one takes precedence."""
    return {**own, **extra} if own and extra else own or extra or {}
