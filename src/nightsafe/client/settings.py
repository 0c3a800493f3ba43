"""The settings of a client: credentials, server, headers, timeouts and sealing."""

import os
import re
import sys
import time
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias, TypedDict
from urllib.parse import urlsplit

from msgspec import Struct

from nightsafe import __version__
from nightsafe.client.messages import Origin
from nightsafe.client.not_given import Headers, Omit, Query
from nightsafe.client.timeouts import Timeout

DEFAULT_BASE_URL: Final = "https://api.cloudflare.com/client/v4"
DEFAULT_MAX_RETRIES: Final = 2

SealMode = bool | Literal["require"]
"""Whether values are sealed before they are sent: if the server offers a ring (True), never (False), or always."""

PUBLIC_RING: Final = "NIGHTSAFE_PUBLIC_RING"
KNOWN_RINGS: Final = "NIGHTSAFE_KNOWN_RINGS"

PathLike: TypeAlias = str | os.PathLike[str]

_ENVIRONMENT: Final = {
    "api_token": "CLOUDFLARE_API_TOKEN",
    "api_key": "CLOUDFLARE_API_KEY",
    "api_email": "CLOUDFLARE_EMAIL",
    "user_service_key": "CLOUDFLARE_API_USER_SERVICE_KEY",
}
_AUTHENTICATING: Final = ("x-auth-email", "x-auth-key", "authorization", "x-auth-user-service-key")
_HEADER_TEXT: Final = re.compile(r"[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?|")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Credentials(Struct, frozen=True):
    """The credentials of a client. Any of them may be missing.

    An empty key or e-mail counts as missing, even if the environment has one.
    """

    api_token: str | None = None
    api_key: str | None = None
    api_email: str | None = None
    user_service_key: str | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers to send. Key and e-mail take precedence over a token, and a token over a service key."""
        pair = {"X-Auth-Email": self.api_email, "X-Auth-Key": self.api_key}
        present = {name: value for name, value in pair.items() if value}
        if present:
            return present
        if self.api_token is not None:
            return {"Authorization": f"Bearer {self.api_token}"}
        return {"X-Auth-User-Service-Key": self.user_service_key} if self.user_service_key else {}

    def merged_with(self, other: "Credentials") -> "Credentials":
        """Merge two sets of credentials; the other one takes precedence."""
        pairs = {name: getattr(other, name) or getattr(self, name) for name in self.__struct_fields__}
        return Credentials(**pairs)

    def __repr__(self) -> str:
        """Show the kinds of credentials, but no credential."""
        return f"Credentials({', '.join(name for name in self.__struct_fields__ if getattr(self, name))})"


class RingFiles(NamedTuple):
    """The files of rings: the ring to seal to, and the known rings."""

    public: str | None
    known: str | None


class ClientSettings(Struct, frozen=True, kw_only=True):
    """All that a request depends on beside the call itself."""

    credentials: Credentials
    origin: Origin
    prefix: str
    """The base URL's path, without a trailing slash."""
    api_version: str
    """The version of the API, which is a date."""
    timeout: Timeout
    max_retries: int
    custom_headers: Headers
    custom_query: Query
    seal: SealMode
    public_ring: str | None = None
    """The file of the ring to seal to, if the user gave one."""
    known_rings: str | None = None
    """The file of known rings; None for the file in the environment or the user's default."""
    headers: tuple[tuple[bytes, bytes], ...]
    """The headers of every request, encoded."""
    authenticates: bool
    """Whether the headers have credentials, or the user removed them on purpose."""

    @property
    def base_url(self) -> str:
        """Return the base URL."""
        return f"{self.origin.scheme}://{self.origin.authority}{self.prefix}"

    def __repr__(self) -> str:
        """Show the base URL and the kinds of credentials."""
        return f"ClientSettings({self.base_url}, {self.credentials})"


def make_settings(  # noqa: PLR0913 - a client has many settings
    *,
    credentials: Credentials,
    base_url: str,
    api_version: str,
    timeout: Timeout,
    max_retries: int,
    custom_headers: Headers,
    custom_query: Query,
    seal: SealMode,
    rings: RingFiles,
    agent: str,
) -> ClientSettings:
    """Return settings with encoded and checked headers.

    Raises:
        ValueError: when the base URL is invalid, or a header cannot be sent. The error names the header, but does not
            show its value.
    """
    origin, prefix = _split(base_url)
    headers: dict[str, str | Omit] = {
        "Host": origin.authority,
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "User-Agent": f"{agent}/{__version__} Python/{sys.version.split()[0]}",
        "api-version": api_version,
        **credentials.headers(),
    }
    merged = merge_headers(headers, custom_headers)
    return ClientSettings(
        credentials=credentials,
        origin=origin,
        prefix=prefix,
        api_version=api_version,
        timeout=timeout,
        max_retries=max_retries,
        custom_headers=custom_headers,
        custom_query=custom_query,
        seal=seal,
        public_ring=rings.public,
        known_rings=rings.known,
        headers=encode_headers(merged),
        authenticates=is_authenticating(merged),
    )


class CredentialArguments(TypedDict, total=False):
    """Credentials as arguments of a client."""

    api_token: str
    api_key: str
    api_email: str
    user_service_key: str


def only_token(token: str) -> CredentialArguments:
    """Return the arguments of a client that uses only this token, and no credentials from the environment."""
    return {"api_token": token, "api_key": "", "api_email": "", "user_service_key": ""}


def credentials_from_environment(**given: str | None) -> Credentials:
    """Return the given credentials; the environment supplies those that are not given."""
    return Credentials(
        **{
            name: os.environ.get(variable) if given.get(name) is None else given[name]
            for name, variable in _ENVIRONMENT.items()
        }
    )


def ring_files(public: PathLike | None, known: PathLike | None) -> RingFiles:
    """Return the given files; `NIGHTSAFE_PUBLIC_RING` supplies a public ring that is not given."""
    public_file = os.environ.get(PUBLIC_RING) or None if public is None else os.fspath(public)
    return RingFiles(public_file, None if known is None else os.fspath(known))


def base_url_from_environment() -> str:
    """Return the base URL in the environment, or the default."""
    return os.environ.get("CLOUDFLARE_BASE_URL") or DEFAULT_BASE_URL


def headers_from_environment() -> dict[str, str]:
    """Return the headers in `CLOUDFLARE_CUSTOM_HEADERS`, one a line in the form `name: value`."""
    lines = os.environ.get("CLOUDFLARE_CUSTOM_HEADERS", "").split("\n")
    return {name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}


def today() -> str:
    """Return today's date, the default version of the API."""
    return time.strftime("%Y-%m-%d")


def is_authenticating(headers: Mapping[str, object]) -> bool:
    """Tell whether lower-case headers have credentials. A credential header removed on purpose counts too."""
    return any(name in headers for name in _AUTHENTICATING)


def merge_headers(*layers: Headers) -> dict[str, str | Omit]:
    """Merge headers by lower-case name; later layers take precedence."""
    return {name.lower(): value for layer in layers for name, value in layer.items()}


def encode_headers(headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
    """Encode headers, without those that are removed by `omit`.

    Raises:
        ValueError: when a header cannot be sent. The error names the header, but does not show its value.
    """
    return tuple(_encode(name, value) for name, value in headers.items() if not isinstance(value, Omit))


def _encode(name: str, value: str) -> tuple[bytes, bytes]:
    """Encode one header."""
    if _HEADER_NAME.fullmatch(name) is None:
        raise ValueError("a header's name contains a character that HTTP does not allow in names")
    if _HEADER_TEXT.fullmatch(value) is None:
        raise ValueError(
            f"the header '{name}' contains a character that HTTP does not allow, or begins or ends with a space or a "
            "line break; check the end of the credential"
        )
    return name.encode("ascii"), value.encode("latin-1")


def _split(base_url: str) -> tuple[Origin, str]:
    """Split a base URL into the server and the path."""
    parts = urlsplit(str(base_url))
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.username is not None:
        raise ValueError("base_url must be like https://host/client/v4: http or https, a host, no user, no query")
    default = {"http": 80, "https": 443}[parts.scheme]
    port = None if parts.port == default else parts.port
    host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
    return Origin(parts.scheme, host, port), parts.path.rstrip("/")
