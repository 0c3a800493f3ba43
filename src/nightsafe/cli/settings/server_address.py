"""Which server a command talks to, and with whose credentials."""

import os
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from nightsafe.cli.data_directory.local_server import address_of
from nightsafe.cli.terminal.errors import NOT_PERMITTED, CommandError
from nightsafe.client.network import is_loopback

KEPT_TOKEN: Final = "token"  # noqa: S105 - a file's name
_VARIABLES: Final = ("CLOUDFLARE_BASE_URL", "CLOUDFLARE_API_BASE_URL")
_CREDENTIALS: Final = ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY", "CLOUDFLARE_API_USER_SERVICE_KEY")
_PREFIX: Final = "/client/v4"
_MOST_BYTES: Final = 4096


class Server(NamedTuple):
    """Whom to talk to.

    Attributes:
        url: the base URL.
        token: what to show; None for what the environment says.
        public_ring: the file of its ring, where the server is the one of a data directory on this machine.
    """

    url: str
    token: str | None
    public_ring: Path | None = None


def find_server(url: str | None, token_file: Path | None, data: Path, *, plain_http: bool) -> Server:
    """The server that was named, by flag or variable; else the one of the data directory.

    Cloudflare itself has to be named like any other: credentials go to nobody who was not.

    Raises:
        CommandError: when there is none, no credentials for it, or they would cross the network in the clear.
    """
    token = _read_token(token_file) if token_file else None
    named, ring = url or server_in_environment(), None
    if named is not None:
        found = _checked(named, plain_http=plain_http)
    else:
        found, kept, ring = _local(data), data / KEPT_TOKEN, public_ring_of(data)
        token = _read_token(kept) if token is None and kept.is_file() else token
    if token is None:
        _need_environment(data)
    return Server(found, token, ring)


def server_in_environment() -> str | None:
    """The server that a variable of the official clients names."""
    return next(filter(None, map(os.environ.get, _VARIABLES)), None)


def has_credentials_in_environment() -> bool:
    """Whether a variable of the official clients says who asks."""
    return any(map(os.environ.get, _CREDENTIALS))


def public_ring_of(data: Path) -> Path | None:
    """The public ring of a data directory, which needs no server to be believed; None where it cannot be reached."""
    ring = data / "keys" / "public-ring.json"
    return ring if os.access(ring, os.R_OK) else None


def _local(data: Path) -> str:
    """The base URL of the server of a data directory."""
    local = address_of(data, believing_others=False)
    if local is not None:
        return local
    if address_of(data) is not None:
        raise CommandError(f"{data} is another user's, who could lead you anywhere; name the server with --url")
    if (data / "nightsafe.db").exists():
        raise CommandError(f"no server serves {data}; start one with `nightsafe serve`, or name another with --url")
    raise CommandError(
        f"no server is named, and there is no safe in {data}; give --url or CLOUDFLARE_BASE_URL, "
        "or make a safe with `nightsafe init`"
    )


def _need_environment(data: Path) -> None:
    """The client reads the environment itself, and here it must say who asks.

    Raises:
        CommandError: when it does not.
    """
    if not has_credentials_in_environment():
        raise CommandError(
            "nothing says who asks: set CLOUDFLARE_API_TOKEN, give --token-file, or at the server's machine keep a "
            f"token in {data} with `nightsafe token create --keep`",
            NOT_PERMITTED,
        )


def _read_token(path: Path) -> str:
    """The token in a file that only its owner may read."""
    try:
        with path.open("rb") as file:
            mode, content = os.fstat(file.fileno()).st_mode, file.read(_MOST_BYTES)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
    if mode & 0o077:
        raise CommandError(f"{path} can be read by others; run: chmod 600 {path}")
    token = content.decode("latin-1").strip()
    if not token.isascii() or not token.isprintable() or not token or " " in token:
        raise CommandError(f"{path} holds no API token: one line of letters and digits")
    return token


def refuse_in_the_clear(scheme: str, host: str, *, plain_http: bool) -> None:
    """Nothing, unless credentials and values would cross the network in the clear.

    Raises:
        CommandError: when they would, and it is not agreed to.
    """
    if scheme == "http" and not plain_http and not is_loopback(host):
        raise CommandError(
            f"to {host} everything would cross the network in the clear; use https, or give --plain-http if "
            "nobody can listen in between"
        )


def _checked(named: str, *, plain_http: bool) -> str:
    """A base URL, with the path that the API has where it names none.

    Raises:
        CommandError: when it is none, or would carry credentials in the clear.
    """
    try:
        parts = urlsplit(named)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"} or parts.username is not None or parts.query:
        raise CommandError(f"the server's URL must be like https://host{_PREFIX}: no user, no query")
    refuse_in_the_clear(parts.scheme, host, plain_http=plain_http)
    return named if parts.path.strip("/") else f"{parts.scheme}://{parts.netloc}{_PREFIX}"
