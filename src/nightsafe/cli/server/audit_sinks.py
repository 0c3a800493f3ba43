"""The audit sinks of `serve`: made before the process is confined, and fed while it serves."""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import click
import structlog
from msgspec import Struct

from nightsafe.audit.sinks.address import SinkAddress, parse_address
from nightsafe.audit.sinks.connection import Connector, connect
from nightsafe.audit.sinks.file import FileSender, check_file, open_checked_file
from nightsafe.audit.sinks.http import HttpSender
from nightsafe.audit.sinks.opener import Opener
from nightsafe.audit.sinks.position import Position
from nightsafe.audit.sinks.sender import Sender
from nightsafe.audit.sinks.shipper import Shipper
from nightsafe.audit.sinks.syslog import SyslogSender
from nightsafe.cli.settings.own_file import read_own_file
from nightsafe.client.network import trusted_certificates
from nightsafe.confinement import landlock
from nightsafe.delivery.keep_running import keep_running
from nightsafe.errors import Code, NightsafeError
from nightsafe.store.interface import Store

_log = structlog.get_logger()

_MOST_SINKS: Final = 8
_NAME_SERVER_PORT: Final = 53
_TOKEN_BYTES: Final = 4096
_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750, section 2.1
_LAST_SECONDS: Final = 3.0


class SinkSettings(Struct, frozen=True):
    """The settings of the sinks: their URLs, the file of the bearer token, and the file of the trusted CAs."""

    urls: tuple[str, ...] = ()
    token_file: Path | None = None
    ca_file: Path | None = None


class AuditSinks:
    """The sinks of a server process, without their shippers.

    Args:
        sinks: the address, the sender and the position of each sink.
    """

    def __init__(self, sinks: Sequence[tuple[SinkAddress, Sender, Position]] = ()) -> None:
        self._sinks: Final = sinks
        self._shippers: tuple[Shipper, ...] = ()

    @classmethod
    def open(cls, data: Path, settings: SinkSettings, network_files: tuple[Path, ...]) -> "AuditSinks":
        """Check the sinks, open their positions and start their helper processes. No other thread may be running.

        Args:
            data: the data directory.
            settings: the settings.
            network_files: the files that a process needs to look up the address of a host.

        Raises:
            NightsafeError: INVALID, with the sink or the file, and the solution.
        """
        addresses = check_settings(settings)
        token = _read_token(settings.token_file)
        trust = _trust(settings.ca_file) if any(address.encrypted for address in addresses) else None
        for address in addresses:
            if address.path:
                check_file(address.path, data)
        positions = [Position(data, address.digest) for address in addresses]
        senders = [_sender(address, token, trust, network_files) for address in addresses]
        return cls(tuple(zip(addresses, senders, positions, strict=True)))

    def shippers(self, store: Store) -> tuple[Shipper, ...]:
        """Return a shipper for each sink."""
        self._shippers = tuple(
            Shipper(address.name, sender, position, store) for address, sender, position in self._sinks
        )
        return self._shippers

    def reopen(self) -> None:
        """Reopen files at their paths, after a rotation."""
        for shipper in self._shippers:
            shipper.reopen()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ship to every sink for the length of this block, and then for some seconds, until everything is shipped."""
        for address, _, _ in self._sinks:
            _log.info("audit_sink.added", sink=address.name, place=address.place)
        tasks = {
            asyncio.ensure_future(keep_running(f"audit sink {shipper.name}", shipper.run))
            for shipper in self._shippers
        }
        try:
            yield
        finally:
            for shipper in self._shippers:
                shipper.stop()
            if tasks:
                _, late = await asyncio.wait(tasks, timeout=_LAST_SECONDS)
                for task in late:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


def check_settings(settings: SinkSettings) -> tuple[SinkAddress, ...]:
    """Return the addresses of the sinks.

    Raises:
        NightsafeError: INVALID, if a URL cannot be used, or an option has no sink that would use it.
    """
    addresses = tuple(map(parse_address, settings.urls))
    if len(addresses) > _MOST_SINKS:
        raise NightsafeError(Code.INVALID, f"--audit-sink: {len(addresses)} sinks were given; at most {_MOST_SINKS}")
    if len({address.url for address in addresses}) < len(addresses):
        raise NightsafeError(Code.INVALID, "--audit-sink: the same URL was given twice; give each sink once")
    if settings.token_file and sum(address.is_http for address in addresses) != 1:
        raise NightsafeError(
            Code.INVALID,
            "--audit-sink-token needs exactly one --audit-sink with https://, because the token must reach no other "
            "server",
        )
    if settings.ca_file and not any(address.encrypted for address in addresses):
        raise NightsafeError(Code.INVALID, "--audit-sink-ca needs an --audit-sink with https:// or syslog+tls://")
    return addresses


def check_urls(_: click.Context, __: click.Parameter, urls: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a URL that cannot be used."""
    try:
        check_settings(SinkSettings(urls))
    except NightsafeError as error:
        raise click.BadParameter(error.problems[0].detail.removeprefix("--audit-sink: ")) from None
    return urls


def _read_token(path: Path | None) -> str | None:
    """Return the bearer token in a file.

    Raises:
        CommandError: if the file cannot be read, or others may read it.
        NightsafeError: INVALID, if it contains no token.
    """
    if path is None:
        return None
    token = read_own_file(path, f"the file {path} of --audit-sink-token", _TOKEN_BYTES)
    if not _TOKEN.fullmatch(token):
        raise NightsafeError(
            Code.INVALID, f"{path} does not contain a bearer token: write one token of RFC 6750's characters into it"
        )
    return token


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """Return the trusted certificates.

    Raises:
        NightsafeError: INVALID, if the file contains no certificate.
    """
    if ca_file is None:
        return trusted_certificates()
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:
        reason = "has no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
        raise NightsafeError(Code.INVALID, f"--audit-sink-ca: {ca_file}: {reason}") from None


def _sender(
    address: SinkAddress, token: str | None, trust: ssl.SSLContext | None, network_files: tuple[Path, ...]
) -> Sender:
    """Return the sender of a sink, with its helper process."""
    if address.path:
        folder = address.path.parent
        return FileSender(_opener(partial(open_checked_file, address.path), (folder,), fill=(folder,)))
    ports = (address.port, _NAME_SERVER_PORT)
    open_connection = _opener(partial(connect, address), network_files, ports=ports)
    connector = Connector(address, open_connection, trust if address.encrypted else None)
    return HttpSender(connector, token) if address.is_http else SyslogSender(connector, socket.gethostname())


def _opener(
    open_sink: Callable[[], int], read: tuple[Path, ...], fill: tuple[Path, ...] = (), ports: tuple[int, ...] = ()
) -> Callable[[], int]:
    """Start the helper process of a sink. Return the function that asks it."""
    return Opener(open_sink, landlock.Allowed(read=read, fill=fill, connect=ports)).open
