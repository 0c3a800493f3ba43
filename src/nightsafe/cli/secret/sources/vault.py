"""Reads a KV mount, version 1 or 2, of Vault or OpenBao over the HTTP API.

Source: the API documentation of both, "KV secrets engine" and "/sys/internal/ui/mounts".
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from nightsafe.cli.settings.server_address import refuse_unencrypted
from nightsafe.cli.terminal.errors import NOT_FOUND, NOT_PERMITTED, UNAVAILABLE, CommandError, connection_problem
from nightsafe.client.blocking.transport import HttpTransport
from nightsafe.client.messages import Origin, Request
from nightsafe.client.timeouts import timeout_of

SCHEMES: Final = {"vault": ("VAULT",), "bao": ("BAO", "VAULT")}
"""The prefixes of each scheme's variables in order of precedence, as in the tools' own command lines."""

_TIMEOUT: Final = timeout_of(30)
_OK, _FORBIDDEN, _NOT_FOUND = 200, 403, 404
_REDIRECTS: Final = range(300, 400)
_MAX_SECRETS: Final = 10_000


class KvSecret(NamedTuple):
    """One secret of a mount: its path and its members."""

    path: str
    data: dict[str, Any]

    def __repr__(self) -> str:
        """Return a text without the members."""
        return f"KvSecret({self.path!r})"


class Kv:
    """A client for the KV mount of a path.

    Args:
        scheme: `vault` or `bao`.
        path: mount and path; a slash at the end means all secrets below it.
        plain_http: whether the token and values may cross the network unencrypted.

    Raises:
        CommandError: if no address or token is set, the address is invalid, or it is plain HTTP to another machine.
    """

    def __init__(self, scheme: str, path: str, *, plain_http: bool) -> None:
        self._scheme = scheme
        self._path = path.strip("/")
        self._is_folder = path.endswith("/")
        self._origin, self._prefix = _address(scheme, plain_http=plain_http)
        self._headers = self._make_headers()
        self._transport = HttpTransport()

    def paths(self) -> list[str]:
        """Return the paths of all chosen secrets, within the mount.

        Raises:
            CommandError: if there is no such secret or no permission to see it.
        """
        mount, version = self._mount()
        inside = self._path.removeprefix(mount).strip("/")
        self._data = f"{mount}/data" if version == "2" else mount
        self._metadata = f"{mount}/metadata" if version == "2" else mount
        self._version = version
        if not self._is_folder and inside:
            return [inside]
        found = []
        for path in self._walk(inside):
            found.append(path)
            if len(found) > _MAX_SECRETS:
                raise CommandError(
                    f"there are over {_MAX_SECRETS:,} secrets below {self._path}/; name a folder in it"
                )
        if not found:
            raise CommandError(f"there is nothing below {self._path}/", NOT_FOUND)
        return found

    def read(self, path: str) -> KvSecret:
        """Read the newest version of one secret.

        Raises:
            CommandError: if it does not exist, was deleted, or may not be read.
        """
        status, answer = self._ask("GET", f"{self._data}/{path}")
        data = answer.get("data") if status == _OK else None
        if self._version == "2" and isinstance(data, dict):
            data = data.get("data")
        if not isinstance(data, dict):
            if status in {_OK, _NOT_FOUND}:
                raise CommandError(f"there is no secret at {self._data}/{path}, or it was deleted", NOT_FOUND)
            raise self._refused(status, f"reading {self._data}/{path}")
        return KvSecret(path, data)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _mount(self) -> tuple[str, str]:
        """Return the mount of the path and the version of its KV engine."""
        status, answer = self._ask("GET", f"sys/internal/ui/mounts/{self._path}")
        if status != _OK:
            # The server refuses in the same way if the mount is missing and if it may not be seen.
            raise self._refused(status, f"looking for the mount of {self._path}")
        mount = answer.get("data") or {}
        if mount.get("type") not in {"kv", "generic"}:
            raise CommandError(f"{mount.get('path', self._path)} is not a KV mount")
        options: Mapping[str, str] = mount.get("options") or {}
        return str(mount["path"]).strip("/"), str(options.get("version", "1"))

    def _walk(self, folder: str) -> Iterator[str]:
        """Yield the paths of all secrets below a folder."""
        below = f"{self._metadata}/{folder}".rstrip("/") + "/"
        status, answer = self._ask("GET", below, {"list": "true"})
        if status == _NOT_FOUND:
            return
        if status != _OK:
            raise self._refused(status, f"listing {below}")
        for key in sorted((answer.get("data") or {}).get("keys") or ()):
            path = f"{folder}/{key}".lstrip("/")
            if key.endswith("/"):
                yield from self._walk(path.rstrip("/"))
            else:
                yield path

    def _ask(self, method: str, path: str, query: Mapping[str, str] | None = None) -> tuple[int, dict[str, Any]]:
        """Send one request. Return the status and the JSON object of the answer, or an empty one."""
        target = f"{self._prefix}/v1/{quote(path)}" + (f"?{urlencode(query)}" if query else "")
        request = Request(method, self._origin, target.encode("ascii"), self._headers)
        try:
            response = self._transport.send(request, _TIMEOUT)
        except OSError as error:
            advice = connection_problem(error) or f"is {self._variable_names('ADDR')} right?"
            raise CommandError(f"{self._origin.authority} cannot be reached; {advice}", UNAVAILABLE) from None
        if response.status_code in _REDIRECTS:
            variables = self._variable_names("ADDR")
            raise CommandError(
                f"{self._origin.authority} answers with a redirect; name the active node in {variables}", UNAVAILABLE
            )
        try:
            answer = json.loads(response.content)
        except (ValueError, RecursionError):
            answer = None
        return response.status_code, answer if isinstance(answer, dict) else {}

    def _refused(self, status: int, doing: str) -> CommandError:
        """Return the refusal for an unexpected status."""
        if status in {_FORBIDDEN, _NOT_FOUND}:
            return CommandError(
                f"{doing} is not permitted, or it does not exist; is {self._variable_names('TOKEN')} right?",
                NOT_PERMITTED,
            )
        return CommandError(f"{doing} was answered with {status}", UNAVAILABLE)

    def _make_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers of every request.

        Raises:
            CommandError: if there is no token, or it cannot be sent in a header.
        """
        token = _variable(self._scheme, "TOKEN") or _token_file()
        if not token:
            raise CommandError(f"no credentials found: set {self._variable_names('TOKEN')}", NOT_PERMITTED)
        namespace = _variable(self._scheme, "NAMESPACE")
        headers = {"Host": self._origin.authority, "Accept": "application/json", "X-Vault-Request": "true"}
        headers |= {"X-Vault-Token": token} | ({"X-Vault-Namespace": namespace} if namespace else {})
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            variables = f"{self._variable_names('TOKEN')} or {self._variable_names('NAMESPACE')}"
            raise CommandError(f"{variables} contains a character that a header cannot")
        return [(name.encode(), value.encode()) for name, value in headers.items()]

    def _variable_names(self, name: str) -> str:
        """Return the names of a variable, for messages."""
        return " or ".join(f"{prefix}_{name}" for prefix in SCHEMES[self._scheme])


def _address(scheme: str, *, plain_http: bool) -> tuple[Origin, str]:
    """Return the server that the variables name, and the path of its URL."""
    address = _variable(scheme, "ADDR")
    names = " or ".join(f"{prefix}_ADDR" for prefix in SCHEMES[scheme])
    if not address:
        raise CommandError(f"set {names} to the server's address")
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not host:
        raise CommandError(f"{names} must have the form https://host:8200")
    refuse_unencrypted(parts.scheme, host, plain_http=plain_http)
    return Origin(parts.scheme, host, port), parts.path.rstrip("/")


def _variable(scheme: str, name: str) -> str | None:
    """Return the first of a scheme's variables that is set, or None."""
    return next(filter(None, (os.environ.get(f"{prefix}_{name}") for prefix in SCHEMES[scheme])), None)


def _token_file() -> str | None:
    """Read the token that `vault login` and `bao login` store."""
    try:
        return (Path.home() / ".vault-token").read_text("ascii").strip()
    except (OSError, RuntimeError, UnicodeDecodeError):
        return None
