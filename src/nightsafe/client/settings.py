"""What a client is set up with: credentials, server, headers, patience."""

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

Seal = bool | Literal["require"]
"""Whether values are sealed before they are sent: where the server offers it, never, or always."""

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
    """What shows who asks; any of them may be missing.

    A key or an e-mail that is empty is missing, whatever the environment says.
    """

    api_token: str | None = None
    api_key: str | None = None
    api_email: str | None = None
    user_service_key: str | None = None

    def headers(self) -> dict[str, str]:
        """The headers to send: key and e-mail before a token, a token before a service key."""
        pair = {"X-Auth-Email": self.api_email, "X-Auth-Key": self.api_key}
        given = {name: shown for name, shown in pair.items() if shown}
        if given:
            return given
        if self.api_token is not None:
            return {"Authorization": f"Bearer {self.api_token}"}
        return {"X-Auth-User-Service-Key": self.user_service_key} if self.user_service_key else {}

    def with_those_of(self, other: "Credentials") -> "Credentials":
        """These, but for what another has."""
        pairs = {name: getattr(other, name) or getattr(self, name) for name in self.__struct_fields__}
        return Credentials(**pairs)

    def __repr__(self) -> str:
        """Which there are, and none of them."""
        return f"Credentials({', '.join(name for name in self.__struct_fields__ if getattr(self, name))})"


class RingFiles(NamedTuple):
    """Where rings are: the one to seal to, and those that were seen."""

    public: str | None
    known: str | None


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that a request depends on beside the call itself."""

    credentials: Credentials
    origin: Origin
    prefix: str
    """The base URL's path, without a slash at its end."""
    api_version: str
    """A date, as the API counts its versions."""
    timeout: Timeout
    max_retries: int
    custom_headers: Headers
    custom_query: Query
    seal: Seal
    public_ring: str | None = None
    """The file of the ring to seal to, where it was brought by hand."""
    known_rings: str | None = None
    """The file in which rings are remembered; None for that of the environment, or the user's own."""
    headers: tuple[tuple[bytes, bytes], ...]
    """What every request bears, ready for the wire."""
    authenticates: bool
    """Whether the headers show who asks, or were told not to."""

    @property
    def base_url(self) -> str:
        """Where every path begins."""
        return f"{self.origin.scheme}://{self.origin.authority}{self.prefix}"

    def __repr__(self) -> str:
        """Whom it talks to, and with which kinds of credential."""
        return f"Settings({self.base_url}, {self.credentials})"


def make_settings(  # noqa: PLR0913 - a client has many settings
    *,
    credentials: Credentials,
    base_url: str,
    api_version: str,
    timeout: Timeout,
    max_retries: int,
    custom_headers: Headers,
    custom_query: Query,
    seal: Seal,
    rings: RingFiles,
    agent: str,
) -> Settings:
    """Settings with their headers made and checked.

    Raises:
        ValueError: when the base URL is none, or a header cannot be sent; it is named, but not shown.
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
    return Settings(
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


class Shown(TypedDict, total=False):
    """Credentials, as arguments of a client."""

    api_token: str
    api_key: str
    api_email: str
    user_service_key: str


def token_alone(token: str) -> Shown:
    """The arguments of a client that shows this token and nothing of what the environment holds."""
    return {"api_token": token, "api_key": "", "api_email": "", "user_service_key": ""}


def credentials_from_environment(**given: str | None) -> Credentials:
    """What was given; what was not, from the environment."""
    return Credentials(
        **{
            name: os.environ.get(variable) if given.get(name) is None else given[name]
            for name, variable in _ENVIRONMENT.items()
        }
    )


def ring_files(public: PathLike | None, known: PathLike | None) -> RingFiles:
    """What was given; the public ring that was not, from `NIGHTSAFE_PUBLIC_RING`."""
    named = os.environ.get(PUBLIC_RING) or None if public is None else os.fspath(public)
    return RingFiles(named, None if known is None else os.fspath(known))


def base_url_from_environment() -> str:
    """The base URL where none was given."""
    return os.environ.get("CLOUDFLARE_BASE_URL") or DEFAULT_BASE_URL


def headers_from_environment() -> dict[str, str]:
    """`CLOUDFLARE_CUSTOM_HEADERS`: a header a line, as `name: content`."""
    lines = os.environ.get("CLOUDFLARE_CUSTOM_HEADERS", "").split("\n")
    return {name.strip(): shown.strip() for name, colon, shown in (line.partition(":") for line in lines) if colon}


def today() -> str:
    """Today's date, which is the API's version where none was given."""
    return time.strftime("%Y-%m-%d")


def is_authenticating(headers: Mapping[str, object]) -> bool:
    """Whether lower-case headers show who asks; one that is taken away on purpose counts."""
    return any(name in headers for name in _AUTHENTICATING)


def merge_headers(*layers: Headers) -> dict[str, str | Omit]:
    """Headers by lower-case name, the later layers first."""
    return {name.lower(): shown for layer in layers for name, shown in layer.items()}


def encode_headers(headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
    """Headers for the wire, without those that are taken away.

    Raises:
        ValueError: when one cannot be sent; it is named, but not shown.
    """
    return tuple(_encode(name, shown) for name, shown in headers.items() if not isinstance(shown, Omit))


def _encode(name: str, shown: str) -> tuple[bytes, bytes]:
    """One header."""
    if _HEADER_NAME.fullmatch(name) is None:
        raise ValueError("a header's name holds a character that HTTP does not allow there")
    if _HEADER_TEXT.fullmatch(shown) is None:
        raise ValueError(
            f"the header '{name}' holds a character that HTTP does not allow there, or a space or a line's end "
            "at its border; is there one at the end of the credential?"
        )
    return name.encode("ascii"), shown.encode("latin-1")


def _split(base_url: str) -> tuple[Origin, str]:
    """Whom a base URL leads to, and its path."""
    parts = urlsplit(str(base_url))
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.username is not None:
        raise ValueError("base_url must be like https://host/client/v4: http or https, a host, no user, no query")
    default = {"http": 80, "https": 443}[parts.scheme]
    port = None if parts.port == default else parts.port
    host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
    return Origin(parts.scheme, host, port), parts.path.rstrip("/")
