"""What the use cases of holders have in common: ids, entries, and refusals in the words of the kind."""

import uuid

from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.store.holding import Entry, Kind
from nightsafe.store.interfaces import Store
from nightsafe.store.model import Binding, Change, Outcome

_WORDS: dict[Kind, dict[Code, Code]] = {
    Kind.DISPATCH_NAMESPACE: {Code.HOLDER_NOT_FOUND: Code.NAMESPACE_NOT_FOUND},
    Kind.PAGES_PROJECT: {Code.HOLDER_NOT_FOUND: Code.PROJECT_NOT_FOUND, Code.HOLDER_TAKEN: Code.PROJECT_TAKEN},
    Kind.SECRETS_STORE: {
        Code.HOLDER_NOT_FOUND: Code.STORE_NOT_FOUND,
        Code.ENTRY_NOT_FOUND: Code.STORE_SECRET_NOT_FOUND,
        Code.ENTRY_TAKEN: Code.STORE_SECRET_TAKEN,
    },
    Kind.SCRIPT: {Code.HOLDER_NOT_FOUND: Code.SCRIPT_NOT_FOUND},
}


def new_id() -> str:
    """A new id of a holder or an entry: 32 hex digits."""
    return uuid.uuid4().hex


def entry_of(binding: Binding, slot: str, at: int) -> Entry:
    """A binding as a new entry of a holder."""
    return Entry(
        slot=slot,
        name=binding.name,
        id=new_id(),
        kind=binding.kind,
        shown=binding.shown,
        created_on=at,
        modified_on=at,
        sealed=binding.sealed,
        key_id=binding.key_id,
    )


async def commit_hold(store: Store, change: Change) -> Outcome:
    """`Store.commit` of a change with an edit of a holder; refusals name what its kind calls it.

    Raises:
        NightsafeError: as `Store.commit` does, but of namespaces, projects, stores and scripts.
    """
    try:
        return await store.commit(change)
    except NightsafeError as error:
        words = _WORDS[change.hold.kind] if change.hold else {}
        problems = [Problem(words.get(one.code, one.code), one.detail, one.pointer) for one in error.problems]
        raise NightsafeError.of(problems) from None
