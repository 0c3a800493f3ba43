"""Finds the accounts with values to reseal, the tokens that can reseal them, and when values were last resealed."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from nightsafe.audit.entry import AuditEvent
from nightsafe.identity.permissions import Action
from nightsafe.identity.policy import Resource
from nightsafe.identity.service import grants_of
from nightsafe.services.caller import now
from nightsafe.services.identity.operator import tokens_of_account_and_members
from nightsafe.services.identity.tokens import ACTIVE, status_of
from nightsafe.store.identities import Account, Token
from nightsafe.store.interface import Store

RESEALING: Final = "Nightsafe Resealing"
"""The permission that resealing needs."""

_LATEST: Final = 1000


class PendingAccount(Struct, frozen=True, kw_only=True):
    """An account with values under older keys.

    Attributes:
        account_id: the account.
        values: the number of these values.
        tokens: ID and name of each token that can reseal them and is valid now.
        last_on: when values of the account were last resealed, in microseconds, according to the latest entries
            of its log; None if these do not say.
    """

    account_id: str
    values: int
    tokens: tuple[tuple[str, str], ...]
    last_on: int | None


async def accounts_with_older_values(store: Store, primary: str) -> list[PendingAccount]:
    """Return every account that has values under other keys than the primary."""
    pending = []
    for account in await store.accounts():
        older = [key_id for key_id in await store.keys_in_use(account.id) if key_id != primary]
        values = sum([await store.count_values(account.id, key_id) for key_id in older])
        if values:
            tokens = tuple((token.id, token.name) for token in await _tokens_that_can_reseal(store, account))
            last_on = await _last_resealed_on(store, account)
            pending.append(PendingAccount(account_id=account.id, values=values, tokens=tokens, last_on=last_on))
    return pending


async def _tokens_that_can_reseal(store: Store, account: Account) -> Sequence[Token]:
    """Return the tokens that can reseal values now."""
    at = now()
    return [
        token
        for token in await tokens_of_account_and_members(store, account)
        if status_of(token, at) == ACTIVE
        and (token.not_before or 0) <= at
        and grants_of(token).allow(Action.RESEAL, Resource(account.id))
    ]


async def _last_resealed_on(store: Store, account: Account) -> int | None:
    """Return when values were last resealed, according to the latest entries of the log."""
    head = await store.audit_head(account.id)
    entries = await store.audit_entries(account.id, max(0, head.number - _LATEST), _LATEST)
    events = (msgspec.json.decode(entry.entry, type=AuditEvent) for _, entry in reversed(entries) if entry.entry)
    return next((event.at for event in events if event.action == "keys.reseal"), None)
