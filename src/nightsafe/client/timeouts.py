"""The timeouts of the parts of a request."""

from typing import Final, Protocol

from msgspec import Struct


class TimeoutLike(Protocol):
    """An object with these four properties: a `Timeout`, or a timeout of another library."""

    @property
    def connect(self) -> float | None:
        """Return the seconds until a connection is open."""
        ...  # pragma: no cover

    @property
    def read(self) -> float | None:
        """Return the seconds between two pieces of the answer."""
        ...  # pragma: no cover

    @property
    def write(self) -> float | None:
        """Return the seconds for a piece of the request."""
        ...  # pragma: no cover

    @property
    def pool(self) -> float | None:
        """Return the seconds until a connection of the pool is free."""
        ...  # pragma: no cover


class Timeout(Struct, frozen=True, kw_only=True):
    """The timeout of each part of a request, in seconds. None waits for ever."""

    connect: float | None = 60.0
    """The time until a connection is open."""
    read: float | None = 60.0
    """The time between two pieces of the answer."""
    write: float | None = 60.0
    """The time for a piece of the request."""
    pool: float | None = 60.0
    """The time until a connection of the pool is free."""


DEFAULT_TIMEOUT: Final = Timeout(connect=5.0)


def timeout_of(timeout: float | TimeoutLike | None) -> Timeout:
    """Return a `Timeout`, given one number for all parts, an object with one for each part, or None for no limit."""
    if isinstance(timeout, Timeout):
        return timeout
    if timeout is None or isinstance(timeout, int | float):
        return Timeout(connect=timeout, read=timeout, write=timeout, pool=timeout)
    return Timeout(connect=timeout.connect, read=timeout.read, write=timeout.write, pool=timeout.pool)
