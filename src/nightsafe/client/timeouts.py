"""How long a request may take, part by part."""

from typing import Final, Protocol

from msgspec import Struct


class TimeoutLike(Protocol):
    """Whatever has these four: a `Timeout`, or that of another library."""

    @property
    def connect(self) -> float | None:
        """Seconds until a connection stands."""
        ...  # pragma: no cover

    @property
    def read(self) -> float | None:
        """Seconds between two pieces of the answer."""
        ...  # pragma: no cover

    @property
    def write(self) -> float | None:
        """Seconds for a piece of the request."""
        ...  # pragma: no cover

    @property
    def pool(self) -> float | None:
        """Seconds until a connection of the pool is free."""
        ...  # pragma: no cover


class Timeout(Struct, frozen=True, kw_only=True):
    """Seconds for each part of a request; None waits for ever."""

    connect: float | None = 60.0
    """Until a connection stands."""
    read: float | None = 60.0
    """Between two pieces of the answer."""
    write: float | None = 60.0
    """For a piece of the request."""
    pool: float | None = 60.0
    """Until a connection of the pool is free."""


DEFAULT_TIMEOUT: Final = Timeout(connect=5.0)


def timeout_of(given: float | TimeoutLike | None) -> Timeout:
    """A timeout from what a caller may give: one number for all parts, a part each, or None for no limit."""
    if isinstance(given, Timeout):
        return given
    if given is None or isinstance(given, int | float):
        return Timeout(connect=given, read=given, write=given, pool=given)
    return Timeout(connect=given.connect, read=given.read, write=given.write, pool=given.pool)
