"""States values whose records have the first form, each with a signature of its own. Nothing is opened for that.

The log must not confirm a record that somebody has put back. So a value is stated only if a trusted key has signed
its record for its place, and the log has never named a value there.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

import structlog

from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.audit.verification.logged_entry import read_entry
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.caller import now
from nightsafe.services.key_rotation.resealing import location_of_value, name_in_log
from nightsafe.services.secrets.seal import Safe
from nightsafe.store.changes import Change
from nightsafe.store.interface import Store
from nightsafe.store.sealed_values import Resealed, StoredValue

_log = structlog.get_logger()

_PART: Final = 64
"""The number of values that one change states, as in a batch of resealed values."""


class OlderValues:
    """The use case of stating them. It may be ended at any moment, and run again.

    Args:
        store: the store.
        safe: verifies records.
    """

    def __init__(self, store: Store, safe: Safe) -> None:
        self._store: Final = store
        self._safe: Final = safe
        self._named: Final[set[str]] = set()
        """The places that the log names."""

        self._read = 0
        """The number of entries that were read for `_named`."""

    async def state_all(self) -> int:
        """State every value that can be stated, and return their number.

        Raises:
            NightsafeError: CANNOT_OPEN, if the safe has no older values, so that somebody has changed the database,
                or if entries of the log are archived.
        """
        stated = 0
        async for account_id, older in self._pages():
            await self._read_log()
            stated += await self._state(account_id, older)
        return stated

    async def run(self) -> None:
        """State every value that can be stated, and log how many there were.

        Raises:
            NightsafeError: as for `state_all`.
        """
        _log.info("older_values.stated", values=await self.state_all())

    async def _pages(self) -> AsyncIterator[tuple[str, list[StoredValue]]]:
        """Yield the values with records of the first form, in parts of one account."""
        for account in await self._store.accounts():
            for key_id in await self._store.keys_in_use(account.id):
                mark = ""
                while page := await self._store.values_under(account.id, key_id, after=mark, limit=_PART):
                    mark = page[-1].mark
                    if older := [value for value in page if value.is_older]:
                        yield account.id, older
                    await asyncio.sleep(0)

    async def _read_log(self) -> None:
        """Read the entries since the last time.

        Raises:
            NightsafeError: CANNOT_OPEN, if some of them are archived, because they may name any place.
        """
        while entries := await self._store.audit_entries_of_all_accounts(self._read):
            if entries[0][0] != self._read + 1:
                raise NightsafeError(
                    Code.CANNOT_OPEN,
                    f"{entries[0][0] - 1} entries of the log are archived, so nothing shows that they name no other"
                    " value in place of an older one: put each older value again",
                )
            for number, entry in entries:
                written = read_entry(number - 1, entry.entry).written
                if written is not None:
                    places = (written.full_statement(subject, place) for subject, _, place in written.statements)
                    self._named.update(place for place in places if place.startswith("value/"))
                self._read = number
            await asyncio.sleep(0)

    async def _state(self, account_id: str, values: Sequence[StoredValue]) -> int:
        """State values of one account by one change, and return how many there were."""
        names: list[str] = []
        older: list[Resealed] = []
        for value in values:
            if f"value/{value.place}" in self._named:
                continue
            try:
                new = self._safe.check_older(location_of_value(value).signed, value.sealed)
            except NightsafeError as error:
                if error.code is not Code.CANNOT_OPEN:
                    raise
                continue
            older.append(
                Resealed(
                    mark=value.mark, before=value.sealed, sealed=new.sealed, key_id=new.key_id, digest=new.digest
                )
            )
            names.append(name_in_log(value))
            await asyncio.sleep(0)  # a check holds the interpreter for a fifth of a millisecond
        if not older:
            return 0
        at = now()
        event = AuditEvent(
            at=at,
            action="values.state",
            actor="nightsafe",
            actor_kind="system",
            account_id=account_id,
            set=tuple(names),
        )
        return (await self._store.commit(Change(at=at, audit=entry_for(event), older=tuple(older)))).stated
