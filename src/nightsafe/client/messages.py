"""The requests and answers that a transport sends and receives, as plain values without a connection."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

RawHeaders = Sequence[tuple[bytes, bytes]]

_CREDENTIALS = frozenset({b"authorization", b"x-auth-key", b"x-auth-user-service-key", b"x-auth-email"})


class Origin(NamedTuple):
    """The server that a request goes to."""

    scheme: str
    """`http` or `https`."""
    host: str
    """A name or an address, without brackets."""
    port: int | None
    """None for the scheme's default port."""

    @property
    def authority(self) -> str:
        """Return host and port in the form of a URL and of the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


class Headers(Mapping[str, str]):
    """Headers by name, in any case. Headers with the same name are joined by a comma.

    Args:
        raw: the names and values as they arrived.
    """

    __slots__ = ("_joined", "raw")

    def __init__(self, raw: RawHeaders) -> None:
        self.raw = raw
        joined: dict[str, str] = {}
        for raw_name, content in raw:
            name, value = raw_name.decode("latin-1").lower(), content.decode("latin-1")
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
        self._joined = joined

    def __getitem__(self, name: str) -> str:
        """Return one header."""
        return self._joined[name.lower()]

    def __iter__(self) -> Iterator[str]:
        """Yield the names, in lower case."""
        return iter(self._joined)

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._joined)

    def __repr__(self) -> str:
        """Show the names only: the value of a header may be a credential."""
        return f"Headers({', '.join(self._joined)})"


class Request(Struct, frozen=True):
    """A request that is ready to be sent."""

    method: str
    """The method, in capitals."""
    origin: Origin
    """The server."""
    target: bytes
    """The encoded path and query."""
    raw_headers: RawHeaders
    """All headers, including `Host`."""
    content: bytes = b""
    """The body."""

    @property
    def url(self) -> str:
        """Return the whole URL."""
        return f"{self.origin.scheme}://{self.origin.authority}{self.target.decode('ascii')}"

    @property
    def headers(self) -> Headers:
        """Return the headers by name."""
        return Headers(self.raw_headers)

    def bare(self) -> "Request":
        """Return the request without its body and its credentials, for an error."""
        remaining = [(name, value) for name, value in self.raw_headers if name.lower() not in _CREDENTIALS]
        return Request(self.method, self.origin, self.target, remaining)

    def __repr__(self) -> str:
        """Show method and URL only: the headers hold a credential, and the body may hold a secret."""
        return f"<Request {self.method} {self.url}>"


class Response(Struct, frozen=True):
    """A whole answer."""

    status_code: int
    """The HTTP status."""
    raw_headers: RawHeaders
    """All headers."""
    content: bytes
    """The body, decompressed."""

    @property
    def headers(self) -> Headers:
        """Return the headers by name."""
        return Headers(self.raw_headers)

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.content.decode("utf-8", "replace")

    def __repr__(self) -> str:
        """Show the status."""
        return f"<Response {self.status_code}>"
