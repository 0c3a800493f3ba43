"""One call of the API before anything is sent: method, path, query, body, and how to read the answer."""

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
    """A call that can be sent as often as need be."""

    method: str
    """In capitals."""
    path: str
    """Below the base URL, encoded."""
    read: Callable[[bytes], T]
    """Reads the result out of an answer's body."""
    query: Query = {}
    """Parameters by name; those that are `omit` are left out."""
    content: bytes | None = None
    """The body, if there is one."""
    content_type: bytes = JSON
    """What the body is."""
    headers: Headers | None = None
    """Headers of this call only."""
    timeout: float | TimeoutLike | Omit | None = omit
    """Seconds, or `omit` for the client's own."""


class Place(Struct, frozen=True):
    """Where secrets belong to: a script of an account, or one in a dispatch namespace."""

    account_id: str
    script: str
    namespace: str = ""

    @property
    def path(self) -> str:
        """The script's path.

        Raises:
            ValueError: when a name is empty, or one that no path can hold.
        """
        account = f"/accounts/{segment('account_id', self.account_id)}/workers"
        script = segment("script_name", self.script)
        if not self.namespace:
            return f"{account}/scripts/{script}"
        return f"{account}/dispatch/namespaces/{segment('dispatch_namespace', self.namespace)}/scripts/{script}"


def place_in_namespace(account_id: str, namespace: str, script: str) -> Place:
    """The place of a script in a dispatch namespace.

    Raises:
        ValueError: when the namespace's name is empty: the place would be another one.
    """
    segment("dispatch_namespace", namespace)
    return Place(account_id, script, namespace)


def segment(argument: str, name: str) -> str:
    """A name as a segment of a path: encoded once, a slash in it as well.

    Args:
        argument: what the argument is called.
        name: what was given.

    Raises:
        ValueError: when it is empty, or one that stands for a directory, whatever encodes it.
    """
    if not name:
        raise ValueError(f"Expected a non-empty value for `{argument}` but received {name!r}")
    if name in _DOTS:
        raise ValueError(f"`{argument}` is {name!r}, which no path can hold: servers and proxies take it away")
    return quote(name, safe=_SAFE)


def given(**fields: object) -> dict[str, Any]:
    """The fields that were given."""
    return {name: field for name, field in fields.items() if not isinstance(field, Omit)}


def make(  # noqa: PLR0913 - the sides of a call
    method: str,
    path: str,
    read: Callable[[bytes], T],
    options: RequestOptions,
    *,
    query: Query | None = None,
    body: Mapping[str, object] | None = None,
    headers: Headers | None = None,
) -> Call[T]:
    """A call with a JSON body or none, and what the caller adds to it."""
    more = options.get("extra_body")
    if more:
        body = {**(body or {}), **more}
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
    """A query string, the later layers first; a list gives its parameter several times."""
    merged = {name: shown for layer in layers for name, shown in layer.items() if not isinstance(shown, Omit)}
    return urlencode({name: _in_query(shown) for name, shown in merged.items()}, doseq=True)


def _in_query(shown: object) -> object:
    """One parameter, as the API reads it."""
    if isinstance(shown, bool):
        return "true" if shown else "false"
    if isinstance(shown, dt.datetime):
        return shown.isoformat()
    return [_in_query(one) for one in shown] if isinstance(shown, list | tuple) else str(shown)


def _merged(own: Mapping[str, Any] | None, more: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Both, the second first."""
    return {**own, **more} if own and more else own or more or {}
