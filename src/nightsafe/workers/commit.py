"""Handing a change to the store, with refusals put in the caller's words."""

from nightsafe.errors import Code, NightsafeError
from nightsafe.store.interfaces import Store
from nightsafe.store.model import Change, Outcome


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
