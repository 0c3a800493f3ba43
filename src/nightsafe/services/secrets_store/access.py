"""Who may bind a Worker to secrets of the account's Secrets Store: what is bound, the Worker's code can read."""

from collections.abc import Iterable

from nightsafe.bindings.model import PlainBinding
from nightsafe.errors import Code, NightsafeError, Problem
from nightsafe.identity.permissions import Action
from nightsafe.identity.policy import Resource
from nightsafe.services.caller import Caller

_KIND = "secrets_store_secret"


def check_store_access(caller: Caller, account_id: str, bindings: Iterable[PlainBinding]) -> None:
    """Refuse bindings to secrets of a store, unless the caller is let into the account's stores.

    Without this, whoever may upload one script of the account could have every secret of its stores. Bindings that
    are inherited or kept are none of it: somebody was let do that.

    Raises:
        NightsafeError: STORE_NOT_GRANTED, one problem for each binding.
    """
    bound = [one.name for one in bindings if one.kind == _KIND]
    if bound and not caller.principal.grants.allow(Action.READ_STORES, Resource(account_id)):
        raise NightsafeError.of(Problem(Code.STORE_NOT_GRANTED, name, "/bindings") for name in bound)
