"""The witnesses of `serve`: made before the process is confined, and asked while it serves."""

import asyncio
import http.client
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click
import structlog

from nightsafe.audit.sinks.address import SinkAddress
from nightsafe.audit.sinks.connection import Connector, connect
from nightsafe.audit.sinks.in_thread import in_daemon_thread
from nightsafe.audit.sinks.opener import Opener
from nightsafe.audit.sinks.sender import reason_of
from nightsafe.client.network import is_loopback, trusted_certificates
from nightsafe.confinement import landlock
from nightsafe.delivery.keep_running import keep_running
from nightsafe.errors import Code, NightsafeError
from nightsafe.merkle.verifier_key import COSIGNATURE, VerifierKey
from nightsafe.services.audit.transparency_log import TransparencyLog
from nightsafe.services.audit.witnessing import Witnessing
from nightsafe.store.interface import Store

_log = structlog.get_logger()

_MOST: Final = 16
_NAME_SERVER_PORT: Final = 53
_PORTS: Final = {"https": 443, "http": 80}
_MAX_ANSWER_BYTES: Final = 1 << 16
_FORM: Final = "give URL=VKEY, for example https://witness.example=witness.example/w1+0123abcd+BA…"


class HttpWitness:
    """A witness that is reached over HTTP, by connections that its helper process opens.

    Args:
        key: the key of its cosignatures.
        connector: opens connections.
    """

    def __init__(self, key: VerifierKey, connector: Connector) -> None:
        self.key: Final = key
        self._connector: Final = connector
        self._connection: Final = _Connection(connector)

    async def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """Implement `WitnessClient.add_checkpoint`."""
        answers: list[tuple[int, bytes]] = []
        try:
            await in_daemon_thread(lambda: answers.append(self._post(body)))
        except OSError as error:
            raise _unavailable(reason_of(error)) from None
        except (http.client.HTTPException, ValueError):
            raise _unavailable("it does not speak valid HTTP") from None
        return answers[0]

    def _post(self, body: bytes) -> tuple[int, bytes]:
        """In a thread, send a request; if a kept connection has ended meanwhile, send it once more."""
        is_kept = self._connection.sock is not None
        try:
            return self._exchange(body)
        except (ConnectionError, http.client.RemoteDisconnected):
            self._connection.close()
            if not is_kept:
                raise
        except BaseException:
            self._connection.close()
            raise
        return self._exchange(body)

    def _exchange(self, body: bytes) -> tuple[int, bytes]:
        """Send a request over the connection. Return status and body of the answer."""
        address, connection = self._connector.address, self._connection
        headers = {"Host": address.authority, "User-Agent": "nightsafe", "Content-Type": "text/plain"}
        connection.request("POST", address.target, body, headers)
        with connection.getresponse() as answer:
            content = answer.read(_MAX_ANSWER_BYTES)
            if answer.read(1):
                raise ValueError
            return answer.status, content


class _Connection(http.client.HTTPConnection):
    """An HTTP connection over a socket that a connector opens."""

    def __init__(self, connector: Connector) -> None:
        super().__init__(connector.address.host, connector.address.port)
        self._connector = connector

    def connect(self) -> None:
        """Open the socket."""
        self.sock = self._connector.connect()


class Witnesses:
    """The witnesses of a server process.

    Args:
        witnesses: the witnesses.
    """

    def __init__(self, witnesses: Sequence[HttpWitness]) -> None:
        self._witnesses: Final = witnesses

    @classmethod
    def open(cls, texts: tuple[str, ...], network_files: tuple[Path, ...]) -> "Witnesses":
        """Start a helper process for each witness. No other thread may be running.

        Args:
            texts: the values of `--witness`.
            network_files: the files that a process needs to look up the address of a host.

        Raises:
            NightsafeError: INVALID, if a value cannot be used.
        """
        parsed = parse_witnesses(texts)
        trust = trusted_certificates() if any(address.encrypted for address, _ in parsed) else None
        return cls([_open(address, key, trust, network_files) for address, key in parsed])

    @asynccontextmanager
    async def running(self, store: Store, log: TransparencyLog) -> AsyncIterator[None]:
        """Ask every witness for the length of this block."""
        tasks = {
            asyncio.ensure_future(keep_running(f"witness {one.key.name}", Witnessing(store, log, one).run))
            for one in self._witnesses
        }
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)


def parse_witnesses(texts: tuple[str, ...]) -> list[tuple[SinkAddress, VerifierKey]]:
    """Return the address and the key of each witness.

    Raises:
        NightsafeError: INVALID, with the problem.
    """
    if len(texts) > _MOST:
        raise _invalid(f"{len(texts)} witnesses were given; at most {_MOST}")
    found = [_parse(text) for text in texts]
    if len({key for _, key in found}) < len(found):
        raise _invalid("a key was given twice; give each witness once")
    return found


def check_witnesses(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a value that cannot be used."""
    try:
        parse_witnesses(texts)
    except NightsafeError as error:
        raise click.BadParameter(error.problems[0].detail.removeprefix("--witness: ")) from None
    return texts


def _parse(text: str) -> tuple[SinkAddress, VerifierKey]:
    """Return the address and the key in a value."""
    url, separator, encoded = text.partition("=")
    if not separator:
        raise _invalid(_FORM)
    try:
        key = VerifierKey.parse(encoded, COSIGNATURE)
        parts = urlsplit(url)
        port = parts.port
    except NightsafeError as error:
        raise _invalid(error.problems[0].detail) from None
    except ValueError:
        raise _invalid(f"a URL cannot be parsed; {_FORM}") from None
    host = parts.hostname or ""
    if not _is_host(host):
        raise _invalid(f"the URL has no host that can be looked up; {_FORM}")
    if "@" in parts.netloc or parts.scheme not in _PORTS or port == 0 or parts.query or parts.fragment:
        raise _invalid(f"the URL must begin with https://, and have no user, query or fragment; {_FORM}")
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise _invalid("the URL must be printable ASCII")
    if parts.scheme == "http" and not is_loopback(host):
        raise _invalid(f"{host} is on another machine: give https://")
    target = f"{parts.path.rstrip('/')}/add-checkpoint"
    return SinkAddress(url, parts.scheme, host, port or _PORTS[parts.scheme], target), key


def _is_host(host: str) -> bool:
    """Return whether a text can be looked up as a host. This loads the codec, which a confined process could not."""
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False


def _open(
    address: SinkAddress, key: VerifierKey, trust: ssl.SSLContext | None, network_files: tuple[Path, ...]
) -> HttpWitness:
    """Return a witness with its helper process, which can connect to its port and nothing else."""
    opener = Opener(partial(connect, address), allowed_for(address.port, network_files))
    return HttpWitness(key, Connector(address, opener.open, trust if address.encrypted else None))


def allowed_for(port: int, network_files: tuple[Path, ...]) -> landlock.Allowed:
    """Return what the helper process of a witness at a port may use."""
    return landlock.Allowed(read=network_files, connect=(port, _NAME_SERVER_PORT))


def _invalid(problem: str) -> NightsafeError:
    """Return the refusal of a value."""
    return NightsafeError(Code.INVALID, f"--witness: {problem}")


def _unavailable(reason: str) -> NightsafeError:
    """Return the error for a witness that does not answer."""
    return NightsafeError(Code.UNAVAILABLE, f"it cannot be reached: {reason}")
