"""Requests and answers as a transport sees them: plain values, no connection in them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

RawHeaders = Sequence[tuple[bytes, bytes]]

_CREDENTIALS = frozenset({b"authorization", b"x-auth-key", b"x-auth-user-service-key", b"x-auth-email"})


class Origin(NamedTuple):
    """Whom a request goes to."""

    scheme: str
    """`http` or `https`."""
    host: str
    """A name or an address, without brackets."""
    port: int | None
    """None for the scheme's own."""

    @property
    def authority(self) -> str:
        """Host and port as a URL and the header `Host` have them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


class Headers(Mapping[str, str]):
    """Headers by name, in any case; several of one name are joined by a comma.

    Args:
        raw: names and contents as they came.
    """

    __slots__ = ("_joined", "raw")

    def __init__(self, raw: RawHeaders) -> None:
        self.raw = raw
        joined: dict[str, str] = {}
        for raw_name, content in raw:
            name, shown = raw_name.decode("latin-1").lower(), content.decode("latin-1")
            joined[name] = f"{joined[name]}, {shown}" if name in joined else shown
        self._joined = joined

    def __getitem__(self, name: str) -> str:
        """One header."""
        return self._joined[name.lower()]

    def __iter__(self) -> Iterator[str]:
        """The names, in lower case."""
        return iter(self._joined)

    def __len__(self) -> int:
        """How many names there are."""
        return len(self._joined)

    def __repr__(self) -> str:
        """Names only: what is in a header may be a credential."""
        return f"Headers({', '.join(self._joined)})"


class Request(Struct, frozen=True):
    """A request, ready to be sent."""

    method: str
    """In capitals."""
    origin: Origin
    """Whom it goes to."""
    target: bytes
    """Path and query, encoded."""
    raw_headers: RawHeaders
    """All headers, `Host` among them."""
    content: bytes = b""
    """The body."""

    @property
    def url(self) -> str:
        """The whole URL."""
        return f"{self.origin.scheme}://{self.origin.authority}{self.target.decode('ascii')}"

    @property
    def headers(self) -> Headers:
        """The headers by name."""
        return Headers(self.raw_headers)

    def bare(self) -> "Request":
        """The same without its body and its credentials, for an error to carry."""
        kept = [(name, shown) for name, shown in self.raw_headers if name.lower() not in _CREDENTIALS]
        return Request(self.method, self.origin, self.target, kept)

    def __repr__(self) -> str:
        """Method and URL: the headers hold a credential and the body may hold a secret."""
        return f"<Request {self.method} {self.url}>"


class Response(Struct, frozen=True):
    """An answer, read to its end."""

    status_code: int
    """The HTTP status."""
    raw_headers: RawHeaders
    """All headers."""
    content: bytes
    """The body, decompressed."""

    @property
    def headers(self) -> Headers:
        """The headers by name."""
        return Headers(self.raw_headers)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")

    def __repr__(self) -> str:
        """The status."""
        return f"<Response {self.status_code}>"
