"""What an error of the driver means: a lost connection, a state that will pass, or a fault of one change."""

import asyncio
from typing import Final

import asyncpg

from nightsafe.errors import AGAIN, Code, NightsafeError
from nightsafe.store.postgres.engine.connection import NoPrimaryError

_PASSING: Final = (
    OSError,
    TimeoutError,
    asyncio.IncompleteReadError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,  # a shutdown, a crash, a server that starts
    asyncpg.ReadOnlySQLTransactionError,  # a primary that has become a standby
    asyncpg.TransactionRollbackError,  # a serialization failure of an engine that has only that isolation
    asyncpg.TooManyConnectionsError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InternalClientError,
)
FAILURES: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What the driver raises."""

_OF_ONE_CHANGE: Final = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError)
_FULL: Final = f"the database's disk is full: nothing was changed; free some space there, then {AGAIN}"


def will_pass(error: BaseException) -> bool:
    """Return whether the same work may succeed in a new connection, perhaps to another server."""
    return isinstance(error, _PASSING)


def is_of_server(error: BaseException) -> bool:
    """Return whether the server has answered with an error."""
    return isinstance(error, asyncpg.PostgresError)


def reason_of(error: BaseException) -> str:
    """Return why a server could not be used, without a text of the driver, which may quote a row."""
    if isinstance(error, NoPrimaryError):
        return str(error)
    return f"{type(error).__name__} {getattr(error, 'sqlstate', None) or ''}".strip()


def is_of_one_change(error: BaseException) -> bool:
    """Return whether the content of one change has caused an error."""
    return isinstance(error, _OF_ONE_CHANGE)


def refusal_of(error: Exception) -> Exception:
    """Return the answer to a change whose content has caused an error."""
    if isinstance(error, asyncpg.UniqueViolationError):
        return NightsafeError(Code.INVALID, "another user has this e-mail, or another token has this digest")
    if isinstance(error.__cause__, UnicodeEncodeError):
        return error.__cause__
    return store_error(error)


def store_error(error: BaseException) -> NightsafeError:
    """Build the error that tells a caller about a failure of the database.

    The server's messages may quote a row, so only the name of its error and its code (SQLSTATE) are told.
    """
    if isinstance(error, NightsafeError):
        return error
    if isinstance(error, asyncpg.DiskFullError):
        return NightsafeError(Code.DISK_FULL, _FULL)
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return NightsafeError(
            Code.STORE,
            "the database's role lacks a right (SQLSTATE 42501): archiving, migrating and deleting refused rows need"
            " the role that owns the tables (--store); for serving, run the statements of nightsafe store grants",
        )
    state = getattr(error, "sqlstate", None)
    return NightsafeError(Code.STORE, f"the database failed: {type(error).__name__}" + f" ({state})" * bool(state))
