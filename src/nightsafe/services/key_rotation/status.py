"""Whether anybody seals anew what lies under older keys: what waits, who may, and when that was done last."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from nightsafe.audit.entry import AuditEvent
from nightsafe.identity.permissions import Action
from nightsafe.identity.policy import Resource
from nightsafe.identity.service import grants_of
from nightsafe.services.caller import now
from nightsafe.services.identity.operator import tokens_of
from nightsafe.services.identity.tokens import ACTIVE, status_of
from nightsafe.store.identities import Account, Token
from nightsafe.store.interface import Store

RESEALING: Final = "Nightsafe Resealing"
"""The permission that it takes."""

_LATEST: Final = 1000


class Waiting(Struct, frozen=True, kw_only=True):
    """An account with values under older keys.

    Attributes:
        account_id: which.
        values: how many.
        tokens: id and name of each token that may seal them anew and can be used now.
        last_on: when values of it were last sealed anew, in microseconds, as far as the latest of its log tells.
    """

    account_id: str
    values: int
    tokens: tuple[tuple[str, str], ...]
    last_on: int | None


async def waiting_under_older(store: Store, primary: str) -> list[Waiting]:
    """Every account that has values under other keys than the primary."""
    found = []
    for account in await store.accounts():
        older = [key_id for key_id in await store.keys_in_use(account.id) if key_id != primary]
        values = sum([await store.count_values(account.id, key_id) for key_id in older])
        if values:
            tokens = tuple((token.id, token.name) for token in await _able(store, account))
            last_on = await _last_on(store, account)
            found.append(Waiting(account_id=account.id, values=values, tokens=tokens, last_on=last_on))
    return found


async def _able(store: Store, account: Account) -> Sequence[Token]:
    """The tokens that may seal anew at this moment."""
    at = now()
    return [
        token
        for token in await tokens_of(store, account)
        if status_of(token, at) == ACTIVE
        and (token.not_before or 0) <= at
        and grants_of(token).allow(Action.RESEAL, Resource(account.id))
    ]


async def _last_on(store: Store, account: Account) -> int | None:
    """When it was last done, by the latest entries of the log."""
    head = await store.audit_head(account.id)
    entries = await store.audit_entries(account.id, max(0, head.number - _LATEST), _LATEST)
    deeds = (msgspec.json.decode(entry.entry, type=AuditEvent) for _, entry in reversed(entries))
    return next((event.at for event in deeds if event.action == "keys.reseal"), None)
