"""The way from the event loop into the writer's thread."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class InThread(Protocol):
    """A way into the writer's thread."""

    def __call__(self, call: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        """Await what `call` gives there."""
        ...  # pragma: no cover
