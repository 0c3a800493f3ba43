"""Commits changes to the store: retries conflicts, and completes the refusal for too many variables."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.interface import Store

T = TypeVar("T")

_TRIES = 1000


async def retry_conflicts(attempt: Callable[[], Awaitable[T]]) -> T:
    """Return the result of an attempt. Repeat it while another write changes what it has read before it commits.

    Each conflict means that another write succeeded, so the writers together always make progress.

    Args:
        attempt: reads, computes and commits.

    Raises:
        NightsafeError: like the attempt.
    """
    for _ in range(_TRIES):
        try:
            return await attempt()
        except NightsafeError as error:
            if error.code is not Code.UNAVAILABLE:
                raise
    return await attempt()


async def commit(store: Store, change: Change) -> Outcome:
    """Commit a change. A refusal for too many variables also names the limit.

    Raises:
        NightsafeError: like `Store.commit`.
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
