"""The type of the function that runs calls in the writer's thread."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class InThread(Protocol):
    """Runs calls in the writer's thread."""

    def __call__(self, call: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        """Run `call` in the thread, and await its result."""
        ...  # pragma: no cover
