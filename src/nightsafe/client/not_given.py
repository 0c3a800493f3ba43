"""The mark of an argument that was not given, where None means something."""

from collections.abc import Mapping
from typing import TypeAlias, TypedDict

from nightsafe.client.timeouts import TimeoutLike


class Omit:
    """Not given: as an argument it leaves a field out, as a header's value it takes the header away."""

    __slots__ = ()

    def __bool__(self) -> bool:
        """False, so that `value or default` works."""
        return False

    def __repr__(self) -> str:
        """Its name."""
        return "omit"


omit = Omit()

Headers: TypeAlias = Mapping[str, str | Omit]
"""Headers by name, in any case; `omit` takes one away."""

Query: TypeAlias = Mapping[str, object]
"""Parameters of a query by name."""


class RequestOptions(TypedDict, total=False):
    """What every method takes beside its own arguments."""

    extra_headers: Headers | None
    """Headers to add, or with `omit` to take away."""
    extra_query: Query | None
    """Parameters to add to the query."""
    extra_body: Mapping[str, object] | None
    """Members to add to a JSON body."""
    timeout: float | TimeoutLike | Omit | None
    """Seconds for this request only; None waits for ever."""
