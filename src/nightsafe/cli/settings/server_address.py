"""Finds the server that a command talks to, and the credentials for it."""

import os
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from nightsafe.cli.data_directory.local_server import address_of
from nightsafe.cli.settings.own_file import read_own_file
from nightsafe.cli.terminal.errors import NOT_PERMITTED, CommandError
from nightsafe.client.network import is_loopback

KEPT_TOKEN: Final = "token"  # noqa: S105 - a file's name
_VARIABLES: Final = ("CLOUDFLARE_BASE_URL", "CLOUDFLARE_API_BASE_URL")
_CREDENTIALS: Final = ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY", "CLOUDFLARE_API_USER_SERVICE_KEY")
_PREFIX: Final = "/client/v4"
_MAX_BYTES: Final = 4096


class Server(NamedTuple):
    """A server and the token for it.

    Attributes:
        url: the base URL.
        token: the API token; None to use the credentials in the environment.
        public_ring: the file of the server's public ring, if the server serves a data directory on this machine.
    """

    url: str
    token: str | None
    public_ring: Path | None = None


def find_server(url: str | None, token_file: Path | None, data: Path, *, plain_http: bool) -> Server:
    """Return the server named by a flag or variable, or else the server of the data directory.

    Cloudflare is no default: you must name it like any other server, so that credentials go only to a named server.

    Raises:
        CommandError: if there is no server, there are no credentials, or they would cross the network unencrypted.
    """
    token = _read_token(token_file) if token_file else None
    named_url, ring = url or server_in_environment(), None
    if named_url is not None:
        base_url = _check_url(named_url, plain_http=plain_http)
    else:
        base_url, stored_token, ring = _local_url(data), data / KEPT_TOKEN, public_ring_of(data)
        token = _read_token(stored_token) if token is None and stored_token.is_file() else token
    if token is None:
        _require_credentials(data)
    return Server(base_url, token, ring)


def server_in_environment() -> str | None:
    """Return the server that a variable of the official clients names, or None."""
    return next(filter(None, map(os.environ.get, _VARIABLES)), None)


def has_credentials_in_environment() -> bool:
    """Return whether a variable of the official clients holds credentials."""
    return any(map(os.environ.get, _CREDENTIALS))


def public_ring_of(data: Path) -> Path | None:
    """Return the file of a data directory's public ring, which needs no pinning; None if it cannot be read."""
    ring = data / "keys" / "public-ring.json"
    return ring if os.access(ring, os.R_OK) else None


def _local_url(data: Path) -> str:
    """Return the base URL of the server of a data directory."""
    local = address_of(data, trust_others=False)
    if local is not None:
        return local
    if address_of(data) is not None:
        raise CommandError(
            f"{data} belongs to another user, who could direct you to any server; name the server with --url"
        )
    if any((data / name).exists() for name in ("nightsafe.db", "store-url")):
        raise CommandError(
            f"no server serves {data}; start one with `nightsafe serve`, or name another server with --url"
        )
    raise CommandError(
        f"no server is named, and there is no safe in {data}; give --url, set CLOUDFLARE_BASE_URL, "
        "or create a safe with `nightsafe init`"
    )


def _require_credentials(data: Path) -> None:
    """Check that the environment holds credentials, which the client itself reads.

    Raises:
        CommandError: if it holds none.
    """
    if not has_credentials_in_environment():
        raise CommandError(
            "no credentials found: set CLOUDFLARE_API_TOKEN, give --token-file, or on the server's machine keep a "
            f"token in {data} with `nightsafe token create --keep`",
            NOT_PERMITTED,
        )


def _read_token(path: Path) -> str:
    """Read the token from a file that only its owner may read."""
    token = read_own_file(path, str(path), _MAX_BYTES)
    if not token.isascii() or not token.isprintable() or not token or " " in token:
        raise CommandError(f"{path} does not hold an API token, which is one line of letters and digits")
    return token


def refuse_unencrypted(scheme: str, host: str, *, plain_http: bool) -> None:
    """Refuse to send credentials and values over the network unencrypted, unless `--plain-http` is given.

    Raises:
        CommandError: if they would be sent so.
    """
    if scheme == "http" and not plain_http and not is_loopback(host):
        raise CommandError(
            f"everything sent to {host} would cross the network unencrypted; use https, or give --plain-http if "
            "nobody can listen on the way"
        )


def _check_url(url: str, *, plain_http: bool) -> str:
    """Check a base URL. If it has no path, add the API's usual path.

    Raises:
        CommandError: if it is not a URL, or credentials would cross the network unencrypted.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"} or parts.username is not None or parts.query:
        raise CommandError(f"the server's URL must have the form https://host{_PREFIX}, without a user or a query")
    refuse_unencrypted(parts.scheme, host, plain_http=plain_http)
    return url if parts.path.strip("/") else f"{parts.scheme}://{parts.netloc}{_PREFIX}"
