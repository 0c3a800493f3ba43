"""Opens connections to the primary of a database, and refuses a server that would not keep what it commits."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import asyncpg

from nightsafe.errors import AGAIN, Code, NightsafeError
from nightsafe.sealing import files
from nightsafe.store.postgres.engine.address import VERIFY_FULL, Address, Host
from nightsafe.store.postgres.engine.patience import pause_after
from nightsafe.store.postgres.engine.texts import store_every_text

if TYPE_CHECKING:
    from asyncpg import Connection

T = TypeVar("T")

PATIENCE: Final = 10.0
"""Seconds for which work waits for a primary, unless a setting says otherwise."""

_CONNECT_SECONDS: Final = 3.0
_NEXT_HOST_SECONDS: Final = 0.25
"""The time after which the next host is tried, too: the servers before it may be stopped and never answer."""

_AGAIN_SECONDS: Final = 0.4
"""The time after which the hosts that have answered are tried again, while another one is silent."""

_SETTINGS: Final = {"idle_in_transaction_session_timeout": "10000", "lock_timeout": "10000"}
"""A node that stops in the middle of a transaction must not keep the others waiting."""

_STATE: Final = """
SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only', true),
  current_setting('synchronous_commit', true), coalesce(current_setting('synchronous_standby_names', true), ''),
  current_setting('fsync', true)
"""
SIZE: Final = "SELECT size FROM log_head"

_PASSING: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.InterfaceError,  # the server has ended the connection while it logged in
    asyncpg.InternalClientError,
)
_ERRORS: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_PASSING_STATES: Final = ("08", "53", "57")
"""Classes of errors that end by themselves: the connection, the server's resources, an operator's intervention."""

_FORBIDDEN_COMMITS: Final = {
    "off": "the server answers a commit before it is on its disk",
    "local": "the server answers a commit before a standby has it, so a failover would lose it",
}


class NoPrimaryError(ConnectionError):
    """None of the hosts is a primary that answers, now. Another attempt may find one."""


async def connect(address: Address, known_size: Callable[[], int] | None = None) -> "Connection":
    """Open a connection to the primary. The hosts are tried in their order, and a slow one does not stop the others.

    While a host is silent, the others are tried again: one of them may have become the primary in the meantime.

    Args:
        address: the hosts.
        known_size: returns how long the log is, as far as the caller knows. A server with a shorter log is passed
            over: it was replaced while it was paused or cut off, and does not know that yet.

    Raises:
        NoPrimaryError: when no host is a primary that accepts connections; another attempt may succeed.
        NightsafeError: STORE, when an administrator must change something: the role, its password, the database, a
            certificate, or a setting with which the server would lose commits.
    """
    attempts: list[asyncio.Task[Connection]] = []
    repeated: list[asyncio.Task[Connection]] = []
    try:
        for host in address.hosts:
            attempts.append(asyncio.create_task(_connect_to(address, host, known_size)))
            await asyncio.wait(attempts[-1:], timeout=_NEXT_HOST_SECONDS)
            if (found := _first_connection(attempts)) is not None:
                return found
        while silent := [task for task in attempts if not task.done()]:
            if all(task.done() for task in repeated):
                others = [host for host, task in zip(address.hosts, attempts, strict=True) if task.done()]
                repeated = [asyncio.create_task(_connect_to(address, host, known_size)) for host in others]
            await asyncio.wait(silent, timeout=_AGAIN_SECONDS, return_when="FIRST_COMPLETED")
            if (found := _first_connection(attempts) or _first_connection(repeated)) is not None:
                return found
        raise _failure([task.exception() for task in attempts])
    finally:
        _abandon([*attempts, *repeated])


async def connect_within(address: Address, seconds: float) -> "Connection":
    """Open a connection like `connect`, and wait for a primary for at most some seconds.

    Raises:
        NightsafeError: NO_PRIMARY, when there was none all this time; STORE, as for `connect`.
    """
    return await find_primary(lambda: connect(address), seconds)


async def find_primary(attempt: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Return what `attempt` returns. Repeat it while it finds no primary, for at most some seconds.

    Raises:
        NightsafeError: NO_PRIMARY, when it found none all this time; or like the attempt.
    """
    loop = asyncio.get_running_loop()
    deadline, number = loop.time() + seconds, 0
    while True:
        try:
            return await attempt()
        except NoPrimaryError as error:
            number += 1
            pause = pause_after(number)
            if loop.time() + pause >= deadline:
                raise no_primary(seconds, str(error)) from None
            await asyncio.sleep(pause)


def no_primary(seconds: float, reason: str) -> NightsafeError:
    """Return the refusal after a wait for a primary."""
    return NightsafeError(
        Code.NO_PRIMARY,
        f"no primary of the database has answered for {seconds:g} s ({reason}): {AGAIN}",
    )


async def _connect_to(address: Address, host: Host, known_size: Callable[[], int] | None) -> "Connection":
    """Open a connection to one host, and check the server.

    Raises:
        NoPrimaryError: when it is not a primary that accepts connections, or lacks commits.
        NightsafeError: STORE, as for `connect`.
    """
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            db = await asyncpg.connect(**_arguments(address, host))
            try:
                await _check(db, address, host)
                await store_every_text(db)
                if known_size is not None:
                    await _check_size(db, host, known_size())
            except BaseException:
                db.terminate()
                raise
            return db
    except NoPrimaryError:
        raise
    except _ERRORS as error:
        raise _connect_error(error, address, host) from None


def _arguments(address: Address, host: Host) -> dict[str, Any]:
    """Return the arguments for the driver. The password is given as a function, so that no text contains it."""
    password = address.password
    if address.passfile is not None:
        files.check_private(address.passfile)
    return {
        "host": host.name,
        "port": host.port,
        "user": address.user,
        "database": address.database,
        "password": None if password is None else lambda: password,
        "passfile": None if address.passfile is None else str(address.passfile),
        "ssl": _tls(address),
        "timeout": _CONNECT_SECONDS,
        "target_session_attrs": "any",  # `_check` looks
        "server_settings": {"application_name": address.application_name, **_SETTINGS},
    }


def _tls(address: Address) -> "ssl.SSLContext | str":
    """Return how a connection over TCP is protected."""
    if address.sslmode in {"disable", "prefer", "require"}:
        return address.sslmode
    if address.sslkey is not None:
        files.check_private(address.sslkey)
    context = ssl.create_default_context(cafile=address.sslrootcert)
    context.check_hostname = address.sslmode == VERIFY_FULL
    if address.sslcert is not None:
        context.load_cert_chain(address.sslcert, address.sslkey, password="")
    return context


async def _check(db: "Connection", address: Address, host: Host) -> None:
    """Refuse a server that is no primary, and one that could lose what it has committed.

    Raises:
        NoPrimaryError: for a standby, and for a server that takes no writes.
        NightsafeError: STORE, for a setting.
    """
    is_standby, read_only, commits, standbys, fsync = await db.fetchrow(_STATE)
    if is_standby:
        raise NoPrimaryError(f"{host} is a standby")
    if read_only == "on" and address.target_session_attrs == "read-write":
        raise NoPrimaryError(f"{host} takes no writes")
    if commits == "off" or (commits == "local" and standbys):
        raise NightsafeError(
            Code.STORE,
            f"{host} has synchronous_commit={commits} for the role {address.user}: {_FORBIDDEN_COMMITS[commits]}."
            f' Look for the setting in ALTER ROLE "{address.user}", in ALTER DATABASE "{address.database}" and in'
            " postgresql.conf, and set it to on",
        )
    if fsync == "off" and not address.allow_fsync_off:
        raise NightsafeError(
            Code.STORE,
            f"{host} has fsync=off, with which a crash of its machine loses commits and may damage the database: set"
            " fsync=on in postgresql.conf and restart the server",
        )


async def _check_size(db: "Connection", host: Host, known: int) -> None:
    """Refuse a server whose log is shorter than a known one.

    Raises:
        NoPrimaryError: when it is.
    """
    if await db.fetchval(SIZE) < known:
        raise NoPrimaryError(f"{host} lacks commits that this node has seen")


def _connect_error(error: Exception, address: Address, host: Host) -> Exception:
    """Return what an error while connecting means. Texts of the driver are not repeated."""
    problem = _tls_problem(error, host) or _access_problem(error, address, host)
    if problem:
        return _refusal(problem)
    state = str(getattr(error, "sqlstate", None) or "")
    name = f"{type(error).__name__} {state}".strip()
    if isinstance(error, _PASSING) or state.startswith(_PASSING_STATES):
        return NoPrimaryError(f"{host}: {getattr(error, 'strerror', None) or name}")
    return _refusal(f"{host} refuses the connection ({name})")


def _tls_problem(error: Exception, host: Host) -> str:
    """Return what is wrong with a certificate, or ""."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {host} is not accepted ({error.verify_message}): name its issuer by sslrootcert=FILE"
            " and the host as the certificate does"
        )
    if isinstance(error, ssl.SSLError):
        return f"TLS with {host} fails ({error.reason}): check sslrootcert, sslcert and sslkey"
    if isinstance(error, FileNotFoundError | PermissionError) and not host.is_socket:
        return f"a file of sslrootcert, sslcert or sslkey cannot be read: {error.strerror}"
    if isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error):
        return f"{host} does not offer TLS: turn ssl on in its postgresql.conf"
    return ""


def _access_problem(error: Exception, address: Address, host: Host) -> str:
    """Return why the server does not admit the role, or ""."""
    for kind, problem in (
        (PermissionError, "this user may not use the socket of {host}: see unix_socket_permissions of the server"),
        (
            asyncpg.InvalidPasswordError,
            (
                "{host} does not accept the password of the role {user}: check it in NIGHTSAFE_STORE, in the file of"
                " the address or in the password file, which must have mode 0600"
            ),
        ),
        (
            asyncpg.InvalidAuthorizationSpecificationError,
            (
                "{host} does not admit the role {user} to the database {database}: check that the role exists and may"
                " log in, and the server's pg_hba.conf"
            ),
        ),
        (
            asyncpg.InvalidCatalogNameError,
            "{host} has no database {database}: create it with: createdb --template=template0 {database}",
        ),
    ):
        if isinstance(error, kind):
            return problem.format(host=host, user=address.user, database=address.database)
    if isinstance(error, asyncpg.InterfaceError) and "authentication" in str(error):
        return f"{host} wants a method of authentication that the address does not give: add a password or a passfile"
    return ""


def _refusal(problem: str) -> NightsafeError:
    """Return the error for what an administrator must change."""
    return NightsafeError(Code.STORE, f"the database cannot be opened: {problem}")


def _first_connection(attempts: "list[asyncio.Task[Connection]]") -> "Connection | None":
    """Return the first connection that an attempt has made, and take it out of the list."""
    for task in attempts:
        if task.done() and not task.cancelled() and task.exception() is None:
            attempts.remove(task)
            return task.result()
    return None


def _failure(errors: list[BaseException | None]) -> Exception:
    """Return the error after all hosts have failed. If one may become the primary, another attempt may succeed."""
    refusals = [error for error in errors if isinstance(error, NightsafeError)]
    if len(refusals) == len(errors):
        return NightsafeError.of(refusals[0].problems)
    reasons = (error.problems[0].detail if isinstance(error, NightsafeError) else str(error) for error in errors)
    return NoPrimaryError("; ".join(reasons))


def _abandon(attempts: "list[asyncio.Task[Connection]]") -> None:
    """End the attempts that are not needed."""
    for task in attempts:
        if not task.cancel():
            with suppress(BaseException):
                task.result().terminate()
