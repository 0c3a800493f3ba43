"""The URLs of audit sinks."""

import hashlib
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from msgspec import Struct

from nightsafe.client.network import is_loopback
from nightsafe.errors import Code, NightsafeError

FILE: Final = "file"
_PORTS: Final = {"https": 443, "http": 80, "syslog+tls": 6514, "syslog+tcp": 601}
_ENCRYPTED: Final = frozenset({"https", "syslog+tls"})
_HTTP: Final = frozenset({"https", "http"})
_FORMS: Final = (
    "give file:///path/to/log.jsonl, syslog+tls://host:6514 or https://host/path; http and syslog+tcp work only for "
    "a server of this machine"
)
_DIGITS: Final = 8


class SinkAddress(Struct, frozen=True):
    """The parts of a sink's URL.

    Attributes:
        url: the whole URL.
        scheme: `file`, `https`, `http`, `syslog+tls` or `syslog+tcp`.
        host: the host's name or address; "" for a file.
        port: the port; 0 for a file.
        target: the path and query of an HTTP request; "" for other sinks.
        path: the absolute path of a file; None for other sinks.
    """

    url: str
    scheme: str
    host: str = ""
    port: int = 0
    target: str = ""
    path: Path | None = None

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the URL in hex, which names the sink's position."""
        return hashlib.sha256(self.url.encode()).hexdigest()

    @property
    def name(self) -> str:
        """Return the sink's name in figures: its scheme and the start of its digest, without its host or path."""
        return f"{self.scheme}-{self.digest[:_DIGITS]}"

    @property
    def place(self) -> str:
        """Return the sink's name in the log and in refusals: its file, or its scheme, host and port."""
        return str(self.path) if self.path else f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """Return the host, and the port unless it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS.get(self.scheme) else f"{host}:{self.port}"

    @property
    def encrypted(self) -> bool:
        """Return whether the connection uses TLS."""
        return self.scheme in _ENCRYPTED

    @property
    def is_http(self) -> bool:
        """Return whether the sink is an HTTP endpoint."""
        return self.scheme in _HTTP


def parse_address(url: str) -> SinkAddress:
    """Parse the URL of a sink.

    Raises:
        NightsafeError: INVALID, with the permitted forms. It repeats the URL only after the check for credentials.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _invalid(f"one of the URLs cannot be parsed; {_FORMS}") from None
    if "@" in parts.netloc:
        raise _invalid(
            "the URL of an audit sink must not contain a user name or password, because every user of this machine "
            "can see the command line; put a bearer token into the file of --audit-sink-token"
        )
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise _invalid("the URL of an audit sink must be printable ASCII; write other characters as %XX")
    if parts.scheme == FILE:
        return SinkAddress(url, FILE, path=_path_of(parts))
    host = parts.hostname or ""
    if parts.scheme not in _PORTS or not _is_host(host) or port == 0 or parts.fragment:
        raise _invalid(f"this is not the URL of an audit sink: {_FORMS}")
    target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    address = SinkAddress(url, parts.scheme, host, port or _PORTS[parts.scheme], target)
    if not address.is_http and target != "/":
        raise _invalid(f"{address.place} has a path or a query, which syslog does not have; remove it")
    if not address.encrypted and not is_loopback(address.host):
        raise _invalid(
            f"{address.place} is on another machine, and without TLS the audit log can be read on the way; "
            f"give {'https' if address.is_http else 'syslog+tls'}://"
        )
    return address


def _is_host(host: str) -> bool:
    """Return whether a text can be looked up as a host."""
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False


def _path_of(parts: SplitResult) -> Path:
    """Return the absolute path of a file's URL.

    Raises:
        NightsafeError: INVALID.
    """
    path = unquote(parts.path)
    if parts.netloc not in {"", "localhost"} or not path.startswith("/") or parts.query or parts.fragment:
        raise _invalid("the URL of a file has the form file:///absolute/path, without a host, query or fragment")
    if path.endswith(("/", "/.", "/..")) or "\0" in path:
        raise _invalid("the URL of a file must name a file, not a directory")
    return Path(path)


def _invalid(problem: str) -> NightsafeError:
    """Return the refusal of a URL."""
    return NightsafeError(Code.INVALID, f"--audit-sink: {problem}")
