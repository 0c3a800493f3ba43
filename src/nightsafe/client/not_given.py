"""The value of an argument that was not given, because None has a meaning of its own."""

from collections.abc import Mapping
from typing import TypeAlias, TypedDict

from nightsafe.client.timeouts import TimeoutLike


class Omit:
    """Not given. As an argument it leaves a field out; as the value of a header it removes the header."""

    __slots__ = ()

    def __bool__(self) -> bool:
        """Return False, so that `value or default` works."""
        return False

    def __repr__(self) -> str:
        """Show the name."""
        return "omit"


omit = Omit()

Headers: TypeAlias = Mapping[str, str | Omit]
"""Headers by name, in any case. `omit` removes a header."""

Query: TypeAlias = Mapping[str, object]
"""Parameters of a query by name."""


class RequestOptions(TypedDict, total=False):
    """The options that every method accepts beside its own arguments."""

    extra_headers: Headers | None
    """Headers to add, or to remove with `omit`."""
    extra_query: Query | None
    """Parameters to add to the query."""
    extra_body: Mapping[str, object] | None
    """Members to add to a JSON body."""
    timeout: float | TimeoutLike | Omit | None
    """Seconds for this request only; None waits for ever."""
