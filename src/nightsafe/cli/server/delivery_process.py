"""The life of a delivery process, from start to end: the common part of `nightsafe deliver` and `nightsafe run`."""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import structlog

from nightsafe.cli.data_directory.directory import reloading_verifier, report_unusable
from nightsafe.cli.server.delivery_options import Listen
from nightsafe.cli.server.listener import authority, is_loopback, listen
from nightsafe.delivery.delivery import Delivery
from nightsafe.delivery.keep_running import keep_running
from nightsafe.delivery.key_rotation.resealing import Resealer
from nightsafe.delivery.load.code_checks import Checker, HttpChecks
from nightsafe.delivery.load.compiling import Compiler
from nightsafe.delivery.probes import Probes
from nightsafe.delivery.process_memory import protect_process
from nightsafe.delivery.settings import DeliverySettings
from nightsafe.delivery.source.http import HttpSource
from nightsafe.delivery.source.http_resealing import HttpResealing
from nightsafe.delivery.workerd.control import unix_socket
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing import files
from nightsafe.sealing.reloading.key_file import ReloadedFile
from nightsafe.sealing.reloading.opener import ReloadingOpener
from nightsafe.sealing.rings.private_ring import PrivateRing

_log = structlog.get_logger()

_MAX_TOKEN_BYTES = 4096
_ANNOUNCE_SECONDS = 1.0
_TLS_FILES_PROBLEM = (
    "--api-ca, --client-cert or --client-key cannot be read, or the key does not belong to the certificate"
)


@contextlib.asynccontextmanager
async def running_delivery(
    settings: DeliverySettings, source: HttpSource, keys: tuple[Path, Path], address: Listen, probes: Probes | None
) -> AsyncIterator[Delivery]:
    """Start delivery, give it, and stop it at the end.

    Args:
        settings: the operator's settings.
        source: the API that bundles come from.
        keys: files of the private ring, and of the keys that verify the API's signatures.
        address: address for requests to scripts.
        probes: the probes that report delivery's state, or None.

    Raises:
        NightsafeError: INVALID or UNAVAILABLE, if it cannot start.
    """
    protect_process()
    private_ring, verify_keys = keys
    verifier = reloading_verifier(verify_keys)
    ring = ReloadedFile(private_ring, PrivateRing.load, report_unusable, PrivateRing.as_successor_of)
    opener = ReloadingOpener(verifier, ring)
    listener = listen(*address, "--listen")
    try:
        delivery = Delivery(settings, source, verifier, opener, listener)
        if probes is not None:
            probes.readiness = delivery.readiness
        await delivery.start()
    except BaseException:
        listener.close()
        await source.close()
        raise
    resealer = Resealer(settings.account_id, HttpResealing(source), opener)
    resealer.on_resealed = delivery.follower.fetch_value_approvals
    resealing = asyncio.ensure_future(keep_running("reseal", resealer.run))
    checker = Checker(HttpChecks(source), Compiler(settings.binary))
    checking = asyncio.ensure_future(keep_running("check", checker.run))
    try:
        with contextlib.suppress(TimeoutError):  # an API that is unavailable gets the checks later
            await asyncio.wait_for(checker.announced.wait(), _ANNOUNCE_SECONDS)
        click.echo(
            f"delivering on http://{authority(listener)} (http://SCRIPT.{settings.domains[0]}:{port_of(listener)})"
        )
        yield delivery
    finally:
        resealing.cancel()
        checking.cancel()
        await asyncio.gather(checking, return_exceptions=True)
        await delivery.stop()
        await source.close()


@contextlib.asynccontextmanager
async def running_probes(address: Listen | Path | None) -> AsyncIterator[Probes | None]:
    """Answer probes from the start of the process, if `--probes` is given.

    Raises:
        NightsafeError: INVALID, if it cannot listen at the address.
    """
    if address is None:
        yield None
        return
    probes = Probes(_listen_on_path(address) if isinstance(address, Path) else listen(*address, "--probes"))
    await probes.start()
    try:
        yield probes
    finally:
        await probes.stop()


def _listen_on_path(path: Path) -> socket.socket:
    """Return a listening Unix socket at a path. It replaces a socket that an earlier process left.

    Raises:
        NightsafeError: INVALID, if the path is taken or the socket cannot be created.
    """
    try:
        if path.is_socket():
            with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(ConnectionRefusedError):
                client.connect(str(path))
                raise _invalid(f"--probes {path}: another process listens there; name another address")
            path.unlink(missing_ok=True)
        return unix_socket(path)
    except OSError as error:
        raise _invalid(f"--probes {path}: {error.strerror or error}; name another address") from None


def port_of(listener: object) -> int:
    """Return the port of a listening socket."""
    port: int = listener.getsockname()[1]  # type: ignore[attr-defined] # a socket
    return port


async def wait_for_any(*parts: Awaitable[object]) -> BaseException | None:
    """Wait until the first of several awaitables ends, and cancel the others. Return its exception, or None."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next((task.exception() for task in done if task.exception() is not None), None)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def wait_until_stopped(delivery: Delivery, stopping: asyncio.Event, *others: Awaitable[object]) -> int:
    """Wait until a signal stops the process or a part of it ends. Return the exit code."""
    error = await wait_for_any(stopping.wait(), keep_running("watch", delivery.watch), *others)
    if isinstance(error, NightsafeError):
        _log.error("delivery.ended", reason=error.problems[0].detail)
        click.echo(f"nightsafe: {error.problems[0].detail}", err=True)
    elif error is not None:  # only the type is logged, because the message may contain anything
        _log.error("delivery.ended", error=type(error).__name__)
    return 0 if stopping.is_set() else 1


def source_from_options(values: dict[str, Any]) -> HttpSource:
    """Return the API that the options name.

    Raises:
        NightsafeError: INVALID, with the problem of an option.
    """
    token = _token(values["token_file"], values["token_fd"])
    return source_at(values["api"], token, values["account_id"] or "", values)


def source_at(url: str, token: str, account_id: str, values: dict[str, Any]) -> HttpSource:
    """Return the API at an address, with TLS as the options say.

    Raises:
        NightsafeError: INVALID, with the problem of an option.
    """
    tls = make_tls_context(
        url, values["api_ca"], values["client_cert"], values["client_key"], plain_http=values["plain_http"]
    )
    return HttpSource(url, token, account_id, tls)


def reload_tls(source: HttpSource, values: dict[str, Any]) -> None:
    """Reload the TLS files, in addition to those loaded before. Files that cannot be used change nothing."""
    context = source.tls
    if context is None:
        return
    try:
        if values["api_ca"] is not None:
            context.load_verify_locations(values["api_ca"])
        if values["client_cert"] is not None:
            context.load_cert_chain(values["client_cert"], values["client_key"])
    except (OSError, ssl.SSLError):
        _log.error("tls.refused", reason=_TLS_FILES_PROBLEM)


def make_tls_context(
    url: str, ca: Path | None, certificate: Path | None, key: Path | None, *, plain_http: bool
) -> ssl.SSLContext | None:
    """Return the TLS context for an API; None for plain HTTP.

    Args:
        url: base URL of the API.
        ca: PEM file of the CA that issued the API's certificate; None for the system's CAs.
        certificate: PEM file of the client certificate, or None.
        key: PEM file of its private key.
        plain_http: whether the token may cross a network unencrypted.

    Raises:
        NightsafeError: INVALID, with the problem.
    """
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname:
        if not plain_http and not is_loopback(parts.hostname):
            raise _invalid(
                f"--api {url}: without TLS others can read the token on the way; use https://, or --plain-http"
            )
        return None
    if parts.scheme != "https" or not parts.hostname:
        raise _invalid("--api must be a URL that begins with http:// or https://")
    try:
        context = ssl.create_default_context(cafile=ca)
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError):
        raise _invalid(_TLS_FILES_PROBLEM) from None
    return context


def _invalid(problem: str) -> NightsafeError:
    """Return a refusal to start."""
    return NightsafeError(Code.INVALID, problem)


def _token(file: Path | None, descriptor: int | None) -> str:
    """Read the token from a file that only its owner may read, or from a descriptor.

    Raises:
        NightsafeError: INVALID, with the problem.
    """
    if (file is None) == (descriptor is None):
        raise click.UsageError(
            "give either --token-file or --token-fd; create the token with: nightsafe token create"
        )
    try:
        raw = files.read(file, private=True) if file else _read_descriptor(descriptor or 0)
        token = raw.decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        token = ""
    if not token or not token.isprintable() or " " in token:
        raise NightsafeError(Code.INVALID, f"{file or f'descriptor {descriptor}'}: it holds no token")
    return token


def _read_descriptor(descriptor: int) -> bytes:
    """Read everything from a descriptor and close it."""
    with os.fdopen(descriptor, "rb") as source:
        return source.read(_MAX_TOKEN_BYTES)
