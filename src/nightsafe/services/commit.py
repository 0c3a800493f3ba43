"""Handing a change to the store, with refusals put in the caller's words."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.interface import Store

T = TypeVar("T")

_TRIES = 1000


async def until_undisturbed(attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of an attempt which is made anew whenever others changed what it had looked at before it committed.

    Each time one of them got through, so none waits for ever.

    Raises:
        NightsafeError: as the attempt does.
    """
    for _ in range(_TRIES):
        try:
            return await attempt()
        except NightsafeError as error:
            if error.code is not Code.UNAVAILABLE:
                raise
    return await attempt()


async def commit(store: Store, change: Change) -> Outcome:
    """`Store.commit`; a refusal for the number of variables also says what the limit is.

    Raises:
        NightsafeError: as `Store.commit` does.
    """
    try:
        return await store.commit(change)
    except NightsafeError as error:
        if error.code is not Code.TOO_MANY_BINDINGS or change.edit is None:
            raise
        sentence = (
            f"This deployment includes {error.problems[0].detail} variables, which exceeds the limit of "
            f"{change.edit.max_variables} variables per Worker (secrets + text)."
        )
        raise NightsafeError(Code.TOO_MANY_BINDINGS, sentence) from None
