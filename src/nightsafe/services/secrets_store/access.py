"""Checks whether a caller may bind a Worker to secrets of the Secrets Store, because its code can then read them."""

from collections.abc import Iterable

from nightsafe.bindings.model import PlainBinding
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.identity.permissions import Action
from nightsafe.identity.policy import Resource
from nightsafe.services.caller import Caller

_KIND = "secrets_store_secret"


def check_store_access(caller: Caller, account_id: str, bindings: Iterable[PlainBinding]) -> None:
    """Refuse bindings to secrets of a store unless the caller may read the account's stores.

    Without this check, anyone with permission to upload one script of the account could obtain every secret of its
    stores. Inherited and kept bindings pass, because they were allowed when they were made.

    Raises:
        NightsafeError: STORE_NOT_GRANTED, with a problem for each binding.
    """
    names = [binding.name for binding in bindings if binding.kind == _KIND]
    if names and not caller.principal.grants.allow(Action.READ_STORES, Resource(account_id)):
        raise NightsafeError.of(Problem(Code.STORE_NOT_GRANTED, name, "/bindings") for name in names)
